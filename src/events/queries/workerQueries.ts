import type { PoolId, WorkerId } from '../../domain/ids.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './rows.ts';

/** Numbers of workers. All three add up to the pool's total. */
export interface PoolCounts {
  /** REQUESTED or STARTING. */
  readonly starting: number;
  readonly idle: number;
  readonly assigned: number;
}

export function createWorkerQueries({ sql, answered }: Client) {
  return {
    worker: async (id: WorkerId): Promise<Worker | null> =>
      firstOrNull(await answered(sql<Worker[]>`SELECT * FROM workers WHERE id = ${id}`)),

    /**
     * A worker, and the boot id that its agent had when something of it was last stored. The boot id is null if nothing
     * was stored yet.
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
      const [counts] = await answered(sql<PoolCounts[]>`
        SELECT count(*) FILTER (WHERE state IN ('REQUESTED', 'STARTING')) AS starting,
          count(*) FILTER (WHERE state = 'IDLE') AS idle,
          count(*) FILTER (WHERE state = 'ASSIGNED') AS assigned
        FROM workers WHERE pool_id = ${poolId} AND state <> 'REMOVED'`);
      return counts ?? { starting: 0, idle: 0, assigned: 0 };
    },

    /**
     * At most `limit` idle workers that can be claimed: the `preferred` ones first, then the longest idle. They are not
     * locked: a claim that loses a race gets a ConcurrencyError and must try the next.
     */
    idleWorkers: async (
      poolId: PoolId,
      preferred: readonly WorkerId[],
      limit: number,
    ): Promise<Worker[]> =>
      await answered(sql<Worker[]>`
        SELECT * FROM workers WHERE pool_id = ${poolId} AND state = 'IDLE'
        ORDER BY id = ANY (${[...preferred]}::uuid[]) DESC, ready_at, id LIMIT ${limit}`),
  };
}
