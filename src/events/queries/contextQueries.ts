import type { Context } from '../../domain/context.ts';
import type { ContextId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';

export function createContextQueries({ sql, answered }: Client) {
  return {
    /** In no order. */
    contexts: async (ids: readonly ContextId[]): Promise<Context[]> =>
      await answered(sql<Context[]>`SELECT * FROM contexts WHERE id = ANY (${[...ids]}::uuid[])`),

    /** The open contexts of each session, without the default one, oldest first. */
    openContexts: async (ids: readonly SessionId[]): Promise<Context[]> =>
      await answered(sql<Context[]>`
        SELECT * FROM contexts WHERE session_id = ANY (${[...ids]}::uuid[]) AND ended_at IS NULL
        ORDER BY created_at, id`),

    /** The same for the session that the worker serves or has served. */
    openContextsOfWorker: async (workerId: WorkerId): Promise<Context[]> =>
      await answered(sql<Context[]>`
        SELECT * FROM contexts WHERE worker_id = ${workerId} AND ended_at IS NULL
        ORDER BY created_at, id`),
  };
}
