import type { Context } from '../../domain/context.ts';
import type { ContextId, ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';

/** What happens in a session's contexts. */
export interface KernelActivity {
  readonly sessionId: SessionId;
  /** When an execution of the session ended last. Null: none has. */
  readonly lastFinishedAt: Date | null;
  /** The cells that have not ended, in the order of acceptance, each with its context. */
  readonly unfinished: readonly {
    readonly id: ExecutionId;
    readonly contextId: ContextId | SessionId;
  }[];
}

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

    /** In no order. */
    kernelActivity: async (ids: readonly SessionId[]): Promise<KernelActivity[]> =>
      await answered(sql<KernelActivity[]>`
        SELECT s.id AS session_id,
          (SELECT max(x.finished_at) FROM executions x WHERE x.session_id = s.id) AS last_finished_at,
          (SELECT coalesce(json_agg(json_build_object('id', x.id, 'contextId', coalesce(x.context_id, s.id))
              ORDER BY x.requested_position), '[]')
            FROM executions x WHERE x.session_id = s.id AND x.finished_at IS NULL AND x.language = 'PYTHON') AS unfinished
        FROM sessions s WHERE s.id = ANY (${[...ids]}::uuid[])`),
  };
}
