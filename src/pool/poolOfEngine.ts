import { messageOf } from '../domain/errors.ts';
import type { PoolId } from '../domain/ids.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import type { PoolIdentity } from '../events/queries/workerQueries.ts';
import { type Engine, isEngineAway, otherEngine } from '../runtime/runtime.ts';

/** Even a busy engine answers within this time. */
const ENGINE_LIMIT_MS = 30_000;
/**
 * The limit if there may be live sessions. It is shorter: these sessions are served without the engine, and must not
 * wait for an engine that is stuck.
 */
const ENGINE_LIMIT_WITH_SESSIONS_MS = 5_000;

export interface PoolOfEngine {
  readonly poolId: PoolId;
  /** The id of the engine that the pool was made on. */
  readonly engineId: string;
  /** Null: the engine does not answer now. */
  readonly engine: Engine | null;
}

export interface EngineToAsk {
  /** Gives the engine that answers. @throws RuntimeError `engine-away`, also after `limitMs` */
  readonly ask: (limitMs: number) => Promise<Engine>;
  /** The engine's address, for error messages. */
  readonly address: string;
  /** Whether the caller can work without the engine once the pool exists. */
  readonly mayBeAway: boolean;
}

/**
 * The installation's pool. The first call creates it. A pool belongs to one engine, because on any other engine all of
 * its containers would look lost.
 * @throws Error that says what to do, if the engine cannot be used, or is not the pool's. With `mayBeAway`, an engine
 * that does not answer is no error once the pool exists
 */
export async function poolOfEngine(
  queries: Pick<Queries, 'knownPool' | 'poolIdentity'>,
  { ask, address, mayBeAway }: EngineToAsk,
): Promise<PoolOfEngine> {
  const known = await queries.knownPool();
  if (known === null || !mayBeAway) {
    const engine = await ask(ENGINE_LIMIT_MS).catch((error: unknown) => {
      throw noEngine(address, error);
    });
    return requirePoolEngine(known ?? (await queries.poolIdentity(engine.id)), engine, address);
  }
  const engine = await ask(ENGINE_LIMIT_WITH_SESSIONS_MS).catch((error: unknown) => {
    if (isEngineAway(error)) return null;
    // Waiting does not help against any other error, such as a missing permission.
    throw noEngine(address, error);
  });
  return requirePoolEngine(known, engine, address);
}

/** The error if the engine at `address` cannot be asked. Its message is for the operator. */
export function noEngine(address: string, cause: unknown): Error {
  const why = messageOf(cause);
  const message = isEngineAway(cause)
    ? `The Docker engine at ${address} does not answer (${why}). Start it, or set DOCKER_HOST.`
    : `The Docker engine at ${address} cannot be used (${why}). Make sure that this user may use it, or set DOCKER_HOST.`;
  return new Error(message, { cause });
}

/** @throws Error if `engine` is not the pool's */
function requirePoolEngine(
  { poolId, engineId }: PoolIdentity,
  engine: Engine | null,
  address: string,
): PoolOfEngine {
  if (engine !== null && engine.id !== engineId) throw otherEngine(engineId, engine, address);
  return { poolId, engineId, engine };
}
