import type { NewId, PoolId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import type { PoolIdentity, UpkeepQueries } from './queries.ts';

export function createUpkeepQueries({ sql, answered }: Client, newId: NewId): UpkeepQueries {
  return {
    poolIdentity: async (engineId) => {
      await answered(sql`
        INSERT INTO pools (pool_id, engine_id) VALUES (${newId<PoolId>()}, ${engineId})
        ON CONFLICT DO NOTHING`);
      const [identity] = await answered(sql<PoolIdentity[]>`
        SELECT pool_id, engine_id, created_at FROM pools`);
      if (!identity) throw new Error('The pool was deleted from the database while it was read.');
      return identity;
    },

    deleteIdempotencyKeys: async (before) => {
      const { count } = await answered(sql`
        DELETE FROM idempotency_keys WHERE created_at < ${before}`);
      return count;
    },

    deleteRemovedWorkersCursors: async () => {
      const { count } = await answered(sql`
        WITH gone AS (
          DELETE FROM worker_cursors c
          WHERE EXISTS (SELECT FROM workers w WHERE w.id = c.worker_id AND w.state = 'REMOVED')
            -- One that is being requested has its lease before it is recorded.
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
