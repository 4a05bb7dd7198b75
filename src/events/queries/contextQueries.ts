import type { Context } from '../../domain/context.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ContextId, ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { Client } from '../connection/client.ts';
import { decodeJson } from '../store/jsonText.ts';
import { type ExecutionRow, toExecution } from './rows.ts';

/** The activity of a session's kernels. */
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

export interface ContextExecution {
  readonly execution: Execution;
  readonly code: string;
  /** The position of the execution's request. */
  readonly position: number;
}

/** Which executions of a context are read. */
export interface ContextExecutions {
  readonly session: Session;
  readonly contextId: string;
  /** Ended executions are included from this position on. Null: no ended ones. */
  readonly from: number | null;
  /** Limits for the ended executions, of which the latest are read: their number, and the bytes of their code. */
  readonly maxEnded: { readonly count: number; readonly codeBytes: number };
}

export function createContextQueries({ sql, answered }: Client) {
  return {
    /** The cells of a context that have not ended, and some of those that have, in the order of acceptance. */
    contextExecutions: async ({
      session: { id, tenant, userUuid, workerId },
      contextId,
      from,
      maxEnded,
    }: ContextExecutions): Promise<ContextExecution[]> => {
      const rows = await answered(sql<(ExecutionRow & { code: unknown; position: number })[]>`
        WITH found AS (
          SELECT x.id, x.requested_position, x.code_bytes, x.finished_at IS NOT NULL AS has_ended FROM executions x
          WHERE x.worker_id = ${workerId} AND x.finished_at IS NULL
            AND x.language = 'PYTHON' AND coalesce(x.context_id, x.session_id) = ${contextId}
          UNION
          SELECT x.id, x.requested_position, x.code_bytes, x.finished_at IS NOT NULL FROM executions x
          WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid} AND x.requested_position >= ${from}::bigint
            AND x.session_id = ${id} AND x.language = 'PYTHON' AND coalesce(x.context_id, x.session_id) = ${contextId}
        ), counted AS (
          SELECT id, has_ended, count(*) OVER later AS count, sum(code_bytes) OVER later AS bytes
          FROM found WINDOW later AS (PARTITION BY has_ended ORDER BY requested_position DESC)
        )
        SELECT x.*, x.requested_position AS position, e.data -> 'code' AS code
        FROM counted c JOIN executions x ON x.id = c.id
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1
        WHERE NOT c.has_ended OR (c.count <= ${maxEnded.count} AND c.bytes <= ${maxEnded.codeBytes})
        ORDER BY x.requested_position`);
      return rows.map(({ code, position, ...row }) => ({
        execution: toExecution(row),
        code: String(decodeJson(code)),
        position,
      }));
    },

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
