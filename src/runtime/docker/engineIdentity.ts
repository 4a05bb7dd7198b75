/**
 * Makes sure that the engine at the socket is the one that the pool's workers are on. On any other engine, every
 * container and so every session would look lost. Therefore the engine's id is checked before any other request. An
 * answer counts only if the engine has not gone away during the request.
 *
 * ```
 *  unknown --its id is that of the pool's engine--> confirmed --it goes away--> unknown
 * ```
 */
import type { Logger } from 'pino';
import { type Engine, otherEngine, RuntimeError } from '../runtime.ts';

const NO_LIVE_RESTORE =
  'live-restore is off in this Docker engine: whenever it restarts, it ends all workers, and with them every session. Set "live-restore": true in its daemon.json';

interface EngineIdentityDeps {
  /** The id of the engine that the pool's workers are on. */
  readonly engineId: string;
  /** The engine's socket, for error messages. */
  readonly socketPath: string;
  readonly ask: () => Promise<Engine>;
  readonly logger: Logger;
}

export interface EngineIdentity {
  /**
   * The pool's engine. It is asked only if it is not confirmed yet.
   * @throws RuntimeError `engine-away`, `other-engine`
   */
  confirmed(): Promise<Engine>;
  /**
   * Makes `call` to the engine, and returns its answer. The engine must be the pool's before and after the call.
   * @throws RuntimeError `engine-away`, `other-engine`
   */
  during<T>(call: () => Promise<T>): Promise<T>;
  /**
   * Asks the engine even if it is confirmed. Call this when the engine's event stream is open, because from then on the
   * stream shows when the engine goes away.
   */
  askAnew(): Promise<Engine>;
  /** Call this when the engine has gone away: the next engine that answers is checked again. */
  forget(): void;
}

export function createEngineIdentity(deps: EngineIdentityDeps): EngineIdentity {
  let known: Promise<Engine> | null = null;
  const confirmed = (): Promise<Engine> => {
    if (known !== null) return known;
    const asked = askAndCompare(deps);
    known = asked;
    asked.then(
      ({ keepsContainers }) => {
        if (!keepsContainers) deps.logger.warn(NO_LIVE_RESTORE);
      },
      () => {
        if (known === asked) known = null;
      },
    );
    return asked;
  };
  return {
    confirmed,
    during: async (call) => {
      const before = await confirmed();
      const [answer] = await Promise.allSettled([call()]);
      if ((await confirmed()) !== before) {
        throw new RuntimeError('engine-away', 'The Docker engine went away during a call.');
      }
      if (answer.status === 'rejected') throw answer.reason;
      return answer.value;
    },
    askAnew: () => askAndCompare(deps),
    forget: () => {
      known = null;
    },
  };
}

async function askAndCompare(deps: EngineIdentityDeps): Promise<Engine> {
  const engine = await deps.ask();
  if (engine.id !== deps.engineId) throw otherEngine(deps.engineId, engine, deps.socketPath);
  return engine;
}

// Remembers when the engine was away, to explain why containers ended: without live-restore, the engine ends its
// containers when it stops or starts.

/** A stopping engine refuses calls and gives its containers 15 s to end. Only then does its event stream end. */
const STOP_ALLOWANCE_MS = 20_000;
/** Older outages are not needed: a sweep finds all ends soon after the engine is back. */
const MAX_REMEMBERED = 16;

export interface EngineOutages {
  /** The engine is away. Repeated calls change nothing. */
  began(): void;
  ended(): void;
  /** Whether the engine was away at that time, or was stopping. */
  covers(at: Date): boolean;
}

export function createEngineOutages(now: () => Date): EngineOutages {
  const outages: { readonly from: number; to: number }[] = [];
  let isAway = false;
  return {
    began: () => {
      if (isAway) return;
      isAway = true;
      outages.push({ from: now().getTime() - STOP_ALLOWANCE_MS, to: Number.POSITIVE_INFINITY });
      if (outages.length > MAX_REMEMBERED) outages.shift();
    },
    ended: () => {
      const last = outages.at(-1);
      if (isAway && last) last.to = now().getTime();
      isAway = false;
    },
    covers: (at) => outages.some(({ from, to }) => from <= at.getTime() && at.getTime() <= to),
  };
}
