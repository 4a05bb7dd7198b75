/** Queries of workers and the pool, and deletions for the upkeep. */
import type { EnvironmentId, NewId, PoolId, WorkerId } from '../../domain/ids.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './listQueries.ts';

/** Numbers of workers. All three add up to the total. */
interface Counts {
  /** REQUESTED or STARTING. */
  readonly starting: number;
  readonly idle: number;
  readonly assigned: number;
}

/** The workers of one version of an environment. */
export interface EnvironmentCounts extends Counts {
  /** Null: the workers without an environment. */
  readonly environmentId: EnvironmentId | null;
  readonly name: string | null;
  readonly number: number | null;
}

export interface PoolCounts extends Counts {
  /**
   * First the workers without an environment, then those of each environment. An environment without workers is absent.
   */
  readonly of: readonly EnvironmentCounts[];
}

/** Which idle workers are wanted. */
interface IdleWanted {
  /** Null: the workers without an environment. */
  readonly environments: readonly (EnvironmentId | null)[];
  readonly preferred: readonly WorkerId[];
  /** At most this many workers of each environment. */
  readonly limit: number;
}

export function createWorkerQueries({ sql, answered }: Client) {
  return {
    worker: async (id: WorkerId): Promise<Worker | null> =>
      firstOrNull(await answered(sql<Worker[]>`SELECT * FROM workers WHERE id = ${id}`)),

    /**
     * A worker, and the boot id of its agent as of the last stored message. The boot id is null if no message was
     * stored yet.
     */
    workerAndBoot: async (
      id: WorkerId,
    ): Promise<{ readonly worker: Worker; readonly bootId: string | null } | null> => {
      const row = firstOrNull(
        await answered(sql<(Worker & { bootId: string | null })[]>`
          SELECT w.*, nullif(c.boot_id, '') AS boot_id
          FROM workers w LEFT JOIN worker_cursors c ON c.worker_id = w.id WHERE w.id = ${id}`),
      );
      if (row === null) return null;
      const { bootId, ...worker } = row;
      return { worker, bootId };
    },

    /** The epoch of the worker's lease. Null if no gateway has ever held it. */
    workerEpoch: async (id: WorkerId): Promise<number | null> => {
      const [row] = await answered(sql<{ epoch: number }[]>`
        SELECT epoch FROM worker_cursors WHERE worker_id = ${id}`);
      return row?.epoch ?? null;
    },

    /** In the order of their requests. */
    workersInStates: async (
      poolId: PoolId,
      states: readonly Worker['state'][],
    ): Promise<Worker[]> =>
      await answered(sql<Worker[]>`
        SELECT * FROM workers WHERE pool_id = ${poolId} AND state = ANY (${[...states]}::text[])
        ORDER BY requested_at, id`),

    poolCounts: async (poolId: PoolId): Promise<PoolCounts> => {
      const of = await answered(sql<EnvironmentCounts[]>`
        SELECT c.*, e.name, e.number FROM (
          SELECT environment_id, count(*) FILTER (WHERE state IN ('REQUESTED', 'STARTING')) AS starting,
            count(*) FILTER (WHERE state = 'IDLE') AS idle,
            count(*) FILTER (WHERE state = 'ASSIGNED') AS assigned
          FROM workers WHERE pool_id = ${poolId} AND state IN ('REQUESTED', 'STARTING', 'IDLE', 'ASSIGNED')
          GROUP BY environment_id
        ) c LEFT JOIN environments e ON e.id = c.environment_id
        ORDER BY e.name NULLS FIRST, e.number`);
      const sum = (count: 'starting' | 'idle' | 'assigned') =>
        of.reduce((total, each) => total + each[count], 0);
      return { starting: sum('starting'), idle: sum('idle'), assigned: sum('assigned'), of };
    },

    /**
     * Idle workers of these environments that can be claimed, at most `limit` of each: the `preferred` ones first, then
     * the longest idle. They are not locked: a claim that loses a race gets a ConcurrencyError and must try the next.
     */
    idleWorkers: async (
      poolId: PoolId,
      { environments, preferred, limit }: IdleWanted,
    ): Promise<Worker[]> =>
      await answered(sql<Worker[]>`
        SELECT w.* FROM unnest(${[...environments]}::uuid[]) AS wanted (id), LATERAL (
          SELECT * FROM workers
          WHERE pool_id = ${poolId} AND state = 'IDLE' AND environment_id IS NOT DISTINCT FROM wanted.id
          ORDER BY id = ANY (${[...preferred]}::uuid[]) DESC, ready_at, id LIMIT ${limit}
        ) w`),
  };
}

export interface PoolIdentity {
  readonly poolId: PoolId;
  readonly engineId: string;
  readonly createdAt: Date;
}

export function createUpkeepQueries({ sql, answered }: Client, newId: NewId) {
  const knownPool = async (): Promise<PoolIdentity | null> =>
    firstOrNull(
      await answered(sql<PoolIdentity[]>`SELECT pool_id, engine_id, created_at FROM pools`),
    );
  return {
    /** This database's pool. Null: it was never made, so no gateway has served from this database yet. */
    knownPool,

    /**
     * The pool of this database. The first call creates it, with the given engine, and later calls do not change it.
     * The caller must stop if the returned `engineId` is not that of its own engine.
     */
    poolIdentity: async (engineId: string): Promise<PoolIdentity> => {
      await answered(sql`
        INSERT INTO pools (pool_id, engine_id) VALUES (${newId<PoolId>()}, ${engineId})
        ON CONFLICT DO NOTHING`);
      const identity = await knownPool();
      if (identity === null)
        throw new Error('The pool was deleted from the database while it was read.');
      return identity;
    },

    /** The secret of this name, which is the same for all gateways: the very first call stores the proposed value. */
    sharedSecret: async (name: string, proposed: string): Promise<string> => {
      await answered(sql`
        INSERT INTO secrets (name, value) VALUES (${name}, ${proposed}) ON CONFLICT DO NOTHING`);
      const [row] = await answered(sql<{ value: string }[]>`
        SELECT value FROM secrets WHERE name = ${name}`);
      if (!row) throw new Error(`The secret ${name} was deleted while it was read.`);
      return row.value;
    },

    /** Deletes idempotency keys that were stored before `before`. Resolves with their number. */
    deleteIdempotencyKeys: async (before: Date): Promise<number> => {
      const { count } = await answered(sql`
        DELETE FROM idempotency_keys WHERE created_at < ${before}`);
      return count;
    },

    /**
     * Deletes cursors and leases of workers that are removed or were never recorded. Resolves with the number of
     * cursors.
     */
    deleteRemovedWorkersCursors: async (): Promise<number> => {
      const { count } = await answered(sql`
        WITH gone AS (
          DELETE FROM worker_cursors c
          WHERE EXISTS (SELECT FROM workers w WHERE w.id = c.worker_id AND w.state = 'REMOVED')
            -- A worker that is being requested is not recorded yet, but already has a lease.
            OR NOT EXISTS (SELECT FROM workers w WHERE w.id = c.worker_id)
              AND NOT EXISTS (SELECT FROM leases l
                WHERE l.name = 'worker-' || c.worker_id AND l.expires_at > clock_timestamp())
          RETURNING c.worker_id
        ), freed AS (
          DELETE FROM leases l USING gone g WHERE l.name = 'worker-' || g.worker_id
        )
        SELECT worker_id FROM gone`);
      return count;
    },
  };
}
