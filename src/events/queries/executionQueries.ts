import type { FoundCommand, RunningCommand } from '../../domain/commands.ts';
import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import type { UserExpression } from '../../domain/userExpressions.ts';
import type { Client } from '../connection/client.ts';
import { decodeJson } from '../store/jsonText.ts';
import { type ExecutionRow, firstOrNull, toExecution } from './rows.ts';

export interface UnfinishedExecution {
  readonly execution: Execution;
  readonly code: string;
  /** Left out: none. */
  readonly userExpressions?: readonly UserExpression[];
  /** Seq of the last stored output; 0 if there is none. */
  readonly lastSeq: number;
}

/** Columns that are not in the row of an execution: two from its first event, and the seq of its last output. */
interface RequestRow {
  readonly code: unknown;
  readonly userExpressions: unknown;
  readonly lastSeq: number;
}

export interface KeyHolder {
  readonly executionId: ExecutionId;
  readonly requestHash: string;
}

export function createExecutionQueries({ sql, answered }: Client) {
  return {
    execution: async (id: ExecutionId): Promise<Execution | null> => {
      const [row] = await answered(sql<ExecutionRow[]>`SELECT * FROM executions WHERE id = ${id}`);
      return row ? toExecution(row) : null;
    },

    /** The owner of an execution, and the position of its request. Null if there is no such execution. */
    executionPlace: async (
      id: ExecutionId,
    ): Promise<{ tenant: string; userUuid: string; position: number } | null> =>
      firstOrNull(
        await answered(sql<{ tenant: string; userUuid: string; position: number }[]>`
          SELECT tenant, user_uuid, requested_position AS position FROM executions WHERE id = ${id}`),
      ),

    /** How many executions of the tenant have not ended: those that wait for their turn, and those that run. */
    unfinishedOfTenant: async (tenant: string): Promise<{ queued: number; running: number }> => {
      const [row] = await answered(sql<{ queued: number; running: number }[]>`
        SELECT (count(*) FILTER (WHERE started_at IS NULL))::int AS queued,
          (count(*) FILTER (WHERE started_at IS NOT NULL))::int AS running
        FROM executions WHERE tenant = ${tenant} AND finished_at IS NULL`);
      return row ?? { queued: 0, running: 0 };
    },

    /** The worker's queued and running executions with their code, in the order in which they were accepted. */
    unfinishedExecutions: async (workerId: WorkerId): Promise<UnfinishedExecution[]> => {
      const rows = await answered(sql<(ExecutionRow & RequestRow)[]>`
        SELECT x.*, e.data -> 'code' AS code, e.data -> 'userExpressions' AS user_expressions,
          (SELECT coalesce(max(o.seq), 0) FROM output_events o WHERE o.execution_id = x.id) AS last_seq
        FROM executions x
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1
        WHERE x.worker_id = ${workerId} AND x.finished_at IS NULL
        ORDER BY x.requested_position`);
      return rows.map(({ code, userExpressions, lastSeq, ...row }) => ({
        execution: toExecution(row),
        code: String(decodeJson(code)),
        ...(userExpressions !== null && {
          userExpressions: decodeJson(userExpressions) as readonly UserExpression[],
        }),
        lastSeq,
      }));
    },

    /** The same without their code. */
    unfinishedStates: async (workerId: WorkerId): Promise<Execution[]> => {
      const rows = await answered(sql<ExecutionRow[]>`
        SELECT * FROM executions WHERE worker_id = ${workerId} AND finished_at IS NULL
        ORDER BY requested_position`);
      return rows.map(toExecution);
    },

    /** The commands of a session that run, with their code, in the order in which they were accepted. */
    runningCommands: async (
      session: Pick<Session, 'id' | 'workerId'>,
    ): Promise<RunningCommand[]> => {
      const rows = await answered(sql<(ExecutionRow & Pick<RequestRow, 'code'>)[]>`
        SELECT x.*, e.data -> 'code' AS code
        FROM executions x
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1
        WHERE x.worker_id = ${session.workerId} AND x.session_id = ${session.id}
          AND x.finished_at IS NULL AND x.started_at IS NOT NULL AND x.language = 'BASH'
        ORDER BY x.requested_position`);
      return rows.map(({ code, ...row }) => ({
        execution: toExecution(row),
        code: String(decodeJson(code)),
      }));
    },

    /**
     * The command of a session with this process id or label: the one that runs, else the latest of those that have
     * ended within the last `endedWithinMs`. The system reuses a process id only after many others.
     */
    commandNamed: async (
      sessionId: SessionId,
      { pid, label }: { readonly pid: number | null; readonly label: string | null },
      endedWithinMs: number,
    ): Promise<FoundCommand | null> => {
      const [row] = await answered(sql<(ExecutionRow & Pick<RequestRow, 'lastSeq'>)[]>`
        SELECT x.*,
          (SELECT coalesce(max(o.seq), 0) FROM output_events o WHERE o.execution_id = x.id) AS last_seq
        FROM executions x
        WHERE session_id = ${sessionId} AND pid IS NOT NULL
          AND (pid = ${pid} OR options ->> 'label' = ${label})
          AND (finished_at IS NULL OR finished_at > clock_timestamp() - ${endedWithinMs} * interval '1 ms')
        ORDER BY finished_at IS NULL DESC, requested_position DESC LIMIT 1`);
      if (!row) return null;
      const { lastSeq, ...execution } = row;
      return { execution: toExecution(execution), lastSeq };
    },

    /** The values of its environment variables. Null if there are none: they are deleted when the execution ends. */
    executionVariables: async (
      id: ExecutionId,
    ): Promise<Readonly<Record<string, string>> | null> => {
      const rows = await answered(sql<{ name: string; value: string }[]>`
        SELECT name, value FROM execution_variables WHERE execution_id = ${id}`);
      if (rows.length === 0) return null;
      return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    },

    /**
     * Deletes the variables and secret inputs of executions that have ended. A trigger does this at their end, too, but
     * not if a rebuild of the projections ended them.
     */
    deleteLeftOfExecutions: async (): Promise<void> => {
      for (const table of ['execution_variables', 'execution_inputs'])
        await answered(sql`
          DELETE FROM ${sql(table)} v
          WHERE NOT EXISTS (SELECT FROM executions x WHERE x.id = v.execution_id AND x.finished_at IS NULL)`);
    },

    /** The execution that holds the key. Null if the key is unused, or was deleted after its time. */
    idempotencyKey: async (
      tenant: string,
      userUuid: string,
      key: string,
    ): Promise<KeyHolder | null> =>
      firstOrNull(
        await answered(sql<KeyHolder[]>`
          SELECT execution_id, request_hash FROM idempotency_keys
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND key = ${key}`),
      ),
  };
}
