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
