import type { ExecutionId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import { decodeJson } from '../store/jsonText.ts';
import type { ExecutionQueries } from './queries.ts';
import { type ExecutionRow, firstOrNull, toExecution } from './rows.ts';

export function createExecutionQueries({ sql, answered }: Client): ExecutionQueries {
  return {
    execution: async (id) => {
      const [row] = await answered(sql<ExecutionRow[]>`SELECT * FROM executions WHERE id = ${id}`);
      return row ? toExecution(row) : null;
    },

    unfinishedExecutions: async (workerId) => {
      const rows = await answered(sql<(ExecutionRow & { code: unknown; lastSeq: number })[]>`
        SELECT x.*, e.data -> 'code' AS code,
          (SELECT coalesce(max(o.seq), 0) FROM output_events o WHERE o.execution_id = x.id) AS last_seq
        FROM executions x
        JOIN events e ON e.stream_id = 'execution-' || x.id AND e.version = 1
        WHERE x.worker_id = ${workerId} AND x.finished_at IS NULL
        ORDER BY x.requested_position`);
      return rows.map(({ code, lastSeq, ...row }) => ({
        execution: toExecution(row),
        code: String(decodeJson(code)),
        lastSeq,
      }));
    },

    idempotencyKey: async (tenant, userUuid, key) =>
      firstOrNull(
        await answered(sql<{ executionId: ExecutionId; codeSha256: string }[]>`
          SELECT execution_id, code_sha256 FROM idempotency_keys
          WHERE tenant = ${tenant} AND user_uuid = ${userUuid} AND key = ${key}`),
      ),
  };
}
