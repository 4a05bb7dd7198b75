/**
 * Keeps the pool in order: notices deaths, takes over orphaned workers, and sweeps at the start and on a timer. The
 * keeper also makes idle workers, up to the minimum (`readSupply` in `../supply/supplyState.ts`).
 */
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { repeat } from '../../async/repeat.ts';
import { within } from '../../async/within.ts';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../domain/errors.ts';
import type { WorkerId } from '../../domain/ids.ts';
import { expiryOf, type Session } from '../../domain/session.ts';
import type { Database } from '../../events/database.ts';
import type { Queries } from '../../events/queries/createQueries.ts';
import type { RuntimeListener } from '../../runtime/runtime.ts';
import { carryOutEnd, type EndCondition, type EndWorkerDeps, recordEnd } from '../endWorker.ts';
import type { WorkerMaker } from '../supply/makeWorker.ts';
import type { Supply } from '../supply/supply.ts';
import {
  adoptLive,
  createOrphanAdoption,
  createWorkerDeaths,
  type ReconcileDeps,
  reconcile,
  reconcileWorker,
} from './reconcile.ts';

interface UpkeepDeps extends EndWorkerDeps {
  readonly config: Config;
  readonly maker: WorkerMaker;
  readonly supply: Pick<Supply, 'workerIdle' | 'workerMissing' | 'engineAway' | 'engineBack'>;
  /** Aborted when the pool closes. */
  readonly closing: AbortSignal;
  readonly logger: Logger;
}

export interface Upkeep extends Omit<Rounds, 'start'> {
  /** Call this when a worker's agent does not answer. */
  suspect(workerId: WorkerId, why: string): void;
  /** Receives the engine's events. */
  readonly engineListener: RuntimeListener;
  /**
   * Resolves when all live workers are adopted. The next sweep handles workers that could not be reconciled.
   * @param isEngineAway whether to adopt without the engine. Then the next sweep follows when the engine is back
   */
  start(isEngineAway: boolean): Promise<void>;
}

export function createUpkeep(deps: UpkeepDeps): Upkeep {
  const { maker, supply, logger } = deps;
  const inBackground = createBackground(logger);
  const watching = { ...deps, isInTheMaking: maker.isUnderWay };
  const deaths = createWorkerDeaths(watching);
  const reconciling: ReconcileDeps = {
    ...watching,
    // Runs in the background, because a sweep must not wait for the start of one worker.
    bringUp: (worker) => inBackground(maker.bringUpFound(worker, deps.closing)),
  };
  const rounds = createRounds({
    ...deps.config,
    ...deps,
    adoptOrphans: createOrphanAdoption({
      ...watching,
      inBackground,
      reconcile: (worker) => reconcileWorker(reconciling, worker, null),
    }),
    sweep: () => reconcile(reconciling),
    recordEnd: (workerId, reason, condition) =>
      recordEnd(deps, workerId, { type: 'RetireWorker', reason, condition }),
    carryOutEnd: (workerId) => carryOutEnd(deps, workerId),
    onRound: () => {
      supply.workerIdle();
      supply.workerMissing();
    },
  });
  return {
    ...rounds,
    suspect: (workerId, why) => inBackground(deaths.suspect(workerId, why)),
    engineListener: {
      onEnd: (id, exitCode) => {
        maker.containerEnded(id, exitCode);
        inBackground(deaths.containerEnded(id, exitCode));
      },
      onAway: ({ kind }) => supply.engineAway(kind),
      onBack: () => {
        rounds.sweepSoon();
        supply.engineBack();
      },
    },
    start: async (isEngineAway) => {
      await rounds.start();
      // Otherwise `poolStatus` would report the outage only after opening the event stream has failed.
      if (isEngineAway) supply.engineAway('engine-away');
      const settled = isEngineAway ? adoptLive(deps) : reconcile(reconciling);
      // A worker that cannot be reconciled must not keep the gateway from serving the others.
      await settled.catch((error: unknown) => {
        const message = 'not all workers could be reconciled; the next sweep tries again';
        logger.error({ err: error }, message);
        rounds.sweepSoon();
      });
    },
  };
}

/**
 * How often each gateway looks for orphans and tries to become the keeper. A dead gateway's workers are taken over
 * after at most the life of a lease (2 s) plus this time. The sum must stay below 3 s.
 */
const POLL_INTERVAL_MS = 500;
/**
 * How often the keeper looks for sessions whose lifetime is over. A session ends at most 1 s after its lifetime, or 4 s
 * if the keeper has just died.
 */
const EXPIRY_INTERVAL_MS = 250;
/** How often the keeper looks for idle sessions. */
const IDLE_INTERVAL_MS = 1_000;
/** How often the keeper deletes rows that nobody needs any more. */
const CLEANING_INTERVAL_MS = 10_000;
/** The engine reports deaths immediately. The sweep finds deaths that the engine did not report. */
const SWEEP_INTERVAL_MS = 30_000;
/** How long `close()` waits for work in progress. After that, it abandons the work: all of it can be repeated. */
const CLOSE_TIMEOUT_MS = 2_000;
const UPKEEP_LEASE = 'upkeep';

interface RoundsDeps extends Omit<DueSessionsDeps, 'queries'> {
  readonly database: Database;
  readonly idempotencyTtlMs: number;
  /** Takes over workers that no gateway acts for. Every gateway does it in each round. */
  readonly adoptOrphans: () => Promise<void>;
  /** Called on the keeper only. */
  readonly sweep: () => Promise<void>;
  readonly onRound: () => void;
}

/**
 * One gateway of a pool, the keeper, does the upkeep for all: finds workers that died unnoticed, ends sessions that are
 * idle or too old, and deletes rows that nobody needs any more. The keeper is the gateway with the lease `upkeep`. Every
 * gateway tries to get the lease in each round. Work that needs the engine runs outside the rounds, so that an engine
 * that does not answer does not delay the takeover of workers.
 */
interface Rounds {
  isKeeper(): boolean;
  /**
   * Makes this gateway sweep within half a second, if it is the keeper. Call this when the engine may have failed to
   * report deaths.
   */
  sweepSoon(): void;
  start(): Promise<void>;
  close(): Promise<void>;
}

function createRounds(deps: RoundsDeps): Rounds {
  const { leases, queries } = deps.database;
  const closing = new AbortController();
  let rounds: Promise<unknown> = Promise.resolve();
  const isKeeper = () => leases.isHeld(UPKEEP_LEASE);
  const isOver = () => closing.signal.aborted || !isKeeper();
  const sweeping = createChore(deps.logger, SWEEP_INTERVAL_MS, deps.sweep);
  const dueSessions = createDueSessions({ ...deps, queries });
  const endingIdle = createChore(deps.logger, IDLE_INTERVAL_MS, dueSessions.endIdle);
  const cleaning = createChore(deps.logger, CLEANING_INTERVAL_MS, async () => {
    await queries.deleteIdempotencyKeys(new Date(deps.now().getTime() - deps.idempotencyTtlMs));
    await queries.deleteRemovedWorkersCursors();
    await queries.deleteLeftOfSessions();
    await queries.deleteLeftOfExecutions();
  });

  let nextRoundMs = POLL_INTERVAL_MS;

  async function round(): Promise<void> {
    nextRoundMs = POLL_INTERVAL_MS;
    if (!isKeeper()) await leases.acquire(UPKEEP_LEASE);
    await deps.adoptOrphans();
    // The next round begins at the latest when a lease of another gateway expires, so that a dead gateway is replaced
    // soon. Live gateways renew their leases long before.
    nextRoundMs = Math.min(POLL_INTERVAL_MS, (await leases.othersExpireInMs()) ?? POLL_INTERVAL_MS);
    deps.onRound();
    if (isOver()) return;
    sweeping.doIfDue();
    cleaning.doIfDue();
  }

  /** Runs outside the rounds, so that a slow round does not delay the end of a session. */
  async function endSessions(): Promise<void> {
    if (isOver()) return;
    await dueSessions.endExpired().catch(async (error: unknown) => {
      logFailedRound(deps.logger, error);
      await pause(POLL_INTERVAL_MS, closing.signal);
    });
    endingIdle.doIfDue();
  }

  async function keepRounds(): Promise<void> {
    for (;;) {
      await pause(nextRoundMs, closing.signal);
      if (closing.signal.aborted) return;
      await round().catch((error: unknown) => logFailedRound(deps.logger, error));
    }
  }

  return {
    isKeeper,
    sweepSoon: sweeping.soon,
    start: async () => {
      await leases.acquire(UPKEEP_LEASE);
      rounds = Promise.all([keepRounds(), repeat(EXPIRY_INTERVAL_MS, closing.signal, endSessions)]);
    },
    close: async () => {
      closing.abort();
      const chores = [sweeping, cleaning, endingIdle, dueSessions].map((chore) => chore.done());
      const all = Promise.all([rounds, ...chores]);
      await within(CLOSE_TIMEOUT_MS, all, () => undefined);
    },
  };
}

// Ends sessions whose lifetime is over, and idle ones. Each round first records all ends at once. From then on the
// sessions are closed, and no call reaches them. Removing their containers is slow, so it follows in the background.

/** Limits the rows of one read. The next round ends the rest. */
const MAX_SESSIONS_A_ROUND = 100;
/** The engine can remove this many containers at a time without slowing down its other work. */
const MAX_PARALLEL_REMOVALS = 4;

interface DueSessionsDeps {
  readonly queries: Pick<Queries, 'expiredSessions' | 'idleSessions'>;
  readonly logger: Logger;
  readonly now: () => Date;
  /** The lifetime of a session that does not define its own. */
  readonly sessionMaxLifeMs: number;
  /** The idle time of a session that does not define its own. */
  readonly sessionIdleTimeoutMs: number;
  /** Records the end of a worker and its session. Null: the condition does not hold, so the session stays open. */
  readonly recordEnd: (
    workerId: WorkerId,
    reason: 'expired' | 'idle',
    condition: EndCondition,
  ) => Promise<Session | null>;
  /** Carries out a recorded end. Never throws. */
  readonly carryOutEnd: (workerId: WorkerId) => Promise<void>;
}

/** `endExpired` and `endIdle` resolve when the ends of all due sessions are recorded. */
interface DueSessions {
  endExpired(): Promise<void>;
  endIdle(): Promise<void>;
  /** Resolves when the containers of the sessions that were ended are removed. */
  done(): Promise<void>;
}

function createDueSessions(deps: DueSessionsDeps): DueSessions {
  const { queries, logger, now, sessionMaxLifeMs, sessionIdleTimeoutMs } = deps;
  const waiting: WorkerId[] = [];
  const removing = new Set<Promise<void>>();

  async function removeAll(): Promise<void> {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift())
      await deps.carryOutEnd(id);
  }

  function remove(id: WorkerId): void {
    waiting.push(id);
    if (removing.size >= MAX_PARALLEL_REMOVALS) return;
    const removal = removeAll().finally(() => removing.delete(removal));
    removing.add(removal);
  }

  async function endAll(
    due: readonly Session[],
    reason: 'expired' | 'idle',
    conditionOf: (session: Session) => EndCondition,
  ): Promise<void> {
    const ends = due.map(async (session) => {
      try {
        const ended = await deps.recordEnd(session.workerId, reason, conditionOf(session));
        if (ended) remove(session.workerId);
      } catch (error: unknown) {
        const details = { error: messageOf(error), sessionId: session.id };
        logger.error(details, 'could not end a session; trying again');
      }
    });
    await Promise.all(ends);
  }

  return {
    endExpired: async () => {
      const at = now();
      const due = await queries.expiredSessions(at, sessionMaxLifeMs, MAX_SESSIONS_A_ROUND);
      // The session's lifetime may just have been extended.
      const isDue = (session: Session) => expiryOf(session, sessionMaxLifeMs) <= at;
      await endAll(due, 'expired', () => ({ isDue }));
    },
    endIdle: async () => {
      const at = now();
      const due = await queries.idleSessions(at, sessionIdleTimeoutMs, MAX_SESSIONS_A_ROUND);
      await endAll(due, 'idle', ({ idleTimeoutMs }) => ({
        idleSince: new Date(at.getTime() - (idleTimeoutMs ?? sessionIdleTimeoutMs)),
      }));
    },
    done: async () => {
      await Promise.all(removing);
    },
  };
}

/** Work to be done at intervals, never twice at the same time. It is first due after one interval. */
function createChore(logger: Logger, intervalMs: number, work: () => Promise<void>) {
  let dueAt = performance.now() + intervalMs;
  let doing: Promise<void> | null = null;
  return {
    doIfDue: () => {
      if (doing !== null || performance.now() < dueAt) return;
      dueAt = performance.now() + intervalMs;
      doing = work()
        .catch((error: unknown) => logFailedRound(logger, error))
        .finally(() => {
          doing = null;
        });
    },
    soon: () => {
      dueAt = 0;
    },
    done: async () => {
      await doing;
    },
  };
}

function logFailedRound(logger: Logger, error: unknown): void {
  logger.error(
    { error: messageOf(error) },
    'a round of the upkeep failed; the next one tries again',
  );
}

/** Runs work that nobody waits for. A failure is only logged, because the next sweep tries again. */
function createBackground(logger: Logger): (work: Promise<void>) => void {
  return (work) => {
    work.catch((error: unknown) =>
      logger.error(
        { error: messageOf(error) },
        'background work of the pool failed; the next sweep tries again',
      ),
    );
  };
}
