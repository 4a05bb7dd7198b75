import type { Worker } from '../../domain/worker.ts';
import type { Client } from '../connection/client.ts';
import type { PoolCounts, WorkerQueries } from './queries.ts';
import { firstOrNull } from './rows.ts';

export function createWorkerQueries({ sql, answered }: Client): WorkerQueries {
  return {
    worker: async (id) =>
      firstOrNull(await answered(sql<Worker[]>`SELECT * FROM workers WHERE id = ${id}`)),

    workersInStates: async (poolId, states) =>
      await answered(sql<Worker[]>`
        SELECT * FROM workers WHERE pool_id = ${poolId} AND state = ANY (${[...states]}::text[])
        ORDER BY requested_at, id`),

    poolCounts: async (poolId) => {
      const [counts] = await answered(sql<PoolCounts[]>`
        SELECT count(*) FILTER (WHERE state IN ('REQUESTED', 'STARTING')) AS starting,
          count(*) FILTER (WHERE state = 'IDLE') AS idle,
          count(*) FILTER (WHERE state = 'ASSIGNED') AS assigned
        FROM workers WHERE pool_id = ${poolId} AND state <> 'REMOVED'`);
      return counts ?? { starting: 0, idle: 0, assigned: 0 };
    },

    idleWorkers: async (poolId, preferred, limit) =>
      await answered(sql<Worker[]>`
        SELECT * FROM workers WHERE pool_id = ${poolId} AND state = 'IDLE'
        ORDER BY id = ANY (${[...preferred]}::uuid[]) DESC, ready_at, id LIMIT ${limit}`),
  };
}
