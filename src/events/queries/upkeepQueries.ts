import type { NewId, PoolId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import { firstOrNull } from './rows.ts';

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
     * This database's pool, made at the first call; it keeps the engine it was made with. The caller refuses to go on when
     * `engineId` is not its own.
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

    /** Forgets keys whose execution was requested before `before`. Resolves with their number. */
    deleteIdempotencyKeys: async (before: Date): Promise<number> => {
      const { count } = await answered(sql`
        DELETE FROM idempotency_keys WHERE created_at < ${before}`);
      return count;
    },

    /** Forgets cursors and leases of workers that are removed, or were never recorded. Resolves with their number. */
    deleteRemovedWorkersCursors: async (): Promise<number> => {
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
