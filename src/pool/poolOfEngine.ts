import { messageOf } from '../domain/errors.ts';
import type { PoolId } from '../domain/ids.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import type { PoolIdentity } from '../events/queries/upkeepQueries.ts';
import { type Engine, isEngineAway, otherEngine } from '../runtime/runtime.ts';

/** An engine that is busy with other things answers within this. */
const ENGINE_LIMIT_MS = 30_000;
/** Sessions may be living, and an engine that is stuck must not keep them waiting: they are served without it. */
const ENGINE_LIMIT_BESIDE_SESSIONS_MS = 5_000;

export interface PoolOfEngine {
  readonly poolId: PoolId;
  /** Of the engine that the pool was made on. */
  readonly engineId: string;
  /** Null: it does not answer now. */
  readonly engine: Engine | null;
}

export interface EngineToAsk {
  /** Which engine answers. @throws RuntimeError `engine-away`, also after `limitMs` */
  readonly ask: (limitMs: number) => Promise<Engine>;
  /** Where it answers, for the message. */
  readonly address: string;
  /** Whether the caller can do without it once the pool has been made. */
  readonly mayBeAway: boolean;
}

/**
 * The installation's pool, made at the first call. Its containers live on one engine; on another they would all look lost.
 * @throws Error that says what to do if no engine answers, or another than the pool was made on
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
    return heldTo(known ?? (await queries.poolIdentity(engine.id)), engine, address);
  }
  const engine = await ask(ENGINE_LIMIT_BESIDE_SESSIONS_MS).catch((error: unknown) => {
    // One that refuses to be asked, since this user may not use it, is there: it will not come back.
    if (isEngineAway(error)) return null;
    throw noEngine(address, error);
  });
  return heldTo(known, engine, address);
}

function noEngine(address: string, cause: unknown): Error {
  return new Error(
    `The Docker engine at ${address} does not answer (${messageOf(cause)}). Start it, or set DOCKER_HOST.`,
    { cause },
  );
}

/** @throws Error if it is another engine than the pool's */
function heldTo(
  { poolId, engineId }: PoolIdentity,
  engine: Engine | null,
  address: string,
): PoolOfEngine {
  if (engine !== null && engine.id !== engineId) throw otherEngine(engineId, engine, address);
  return { poolId, engineId, engine };
}
