import type { ExecutionId } from '../../domain/ids.ts';
import type { Finish, Output, OutputItem } from '../../domain/output.ts';
import type { Client } from '../connection/client.ts';
import type { OutputQueries } from './queries.ts';

interface OutputRow {
  readonly executionId: ExecutionId;
  readonly seq: number;
  readonly at: Date;
  readonly body: Output | Finish;
}

export function createOutputQueries(client: Client): OutputQueries {
  return { ...ofExecution(client), ...ofUser(client) };
}

function ofExecution({ sql, answered }: Client): Pick<OutputQueries, 'outputs' | 'outputEnd'> {
  return {
    outputs: async (executionId, after, { limit, maxBytes }) => {
      // Sizes first, bodies only of what is given: a body can be megabytes.
      const rows = await answered(sql<OutputRow[]>`
        WITH sized AS (
          SELECT seq, sum(bytes) OVER (ORDER BY seq) - bytes AS bytes_before
          FROM (
            SELECT seq, bytes FROM output_events
            WHERE execution_id = ${executionId} AND seq > ${after} ORDER BY seq LIMIT ${limit}
          ) page
        )
        SELECT o.execution_id, o.seq, o.at, o.body FROM sized s
        JOIN output_events o ON o.execution_id = ${executionId} AND o.seq = s.seq
        WHERE s.bytes_before < ${maxBytes} ORDER BY o.seq`);
      return rows.map(toItem);
    },

    outputEnd: async (executionId) => {
      const [row] = await answered(sql<{ seq: number; kind: string }[]>`
        SELECT seq, kind FROM output_events WHERE execution_id = ${executionId}
        ORDER BY seq DESC LIMIT 1`);
      return { lastSeq: row?.seq ?? 0, isFinished: row?.kind === 'finish' };
    },
  };
}

function ofUser({ sql, answered }: Client): Pick<OutputQueries, 'userOutputs' | 'userOutputEnd'> {
  return {
    userOutputs: async (tenant, userUuid, after, { limit, maxBytes }) => {
      const from = after ?? { executionId: null, seq: 0 };
      const rows = await answered(sql<OutputRow[]>`
        WITH start AS (
          SELECT coalesce((SELECT requested_position FROM executions
            WHERE id = ${from.executionId} AND tenant = ${tenant} AND user_uuid = ${userUuid}), 0) AS position
        ), head AS (
          -- The oldest that still runs or waits: nothing after it is given yet.
          SELECT min(x.requested_position) AS position FROM executions x, start
          WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid} AND x.finished_at IS NULL
            AND x.requested_position >= start.position
        ), page AS (
          SELECT x.requested_position, o.execution_id, o.seq, o.bytes
          FROM start, head, executions x JOIN output_events o ON o.execution_id = x.id
          WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid}
            AND x.requested_position >= start.position
            AND (head.position IS NULL OR x.requested_position <= head.position)
            AND (x.requested_position > start.position OR o.seq > ${from.seq})
          ORDER BY x.requested_position, o.seq LIMIT ${limit}
        ), sized AS (
          SELECT *, sum(bytes) OVER (ORDER BY requested_position, seq) - bytes AS bytes_before FROM page
        )
        SELECT o.execution_id, o.seq, o.at, o.body FROM sized s
        JOIN output_events o ON o.execution_id = s.execution_id AND o.seq = s.seq
        WHERE s.bytes_before < ${maxBytes} ORDER BY s.requested_position, s.seq`);
      return rows.map(toItem);
    },

    userOutputEnd: async (tenant, userUuid) => {
      // The oldest unfinished execution if there is one (NULLs of the first key sort last), else the newest of all.
      const [row] = await answered(sql<{ executionId: ExecutionId; seq: number }[]>`
        SELECT x.id AS execution_id,
          (SELECT coalesce(max(o.seq), 0) FROM output_events o WHERE o.execution_id = x.id) AS seq
        FROM executions x WHERE x.tenant = ${tenant} AND x.user_uuid = ${userUuid}
          AND x.requested_position = (
            SELECT coalesce(min(requested_position) FILTER (WHERE finished_at IS NULL), max(requested_position))
            FROM executions WHERE tenant = ${tenant} AND user_uuid = ${userUuid})`);
      return row ?? null;
    },
  };
}

function toItem({ executionId, seq, at, body }: OutputRow): OutputItem {
  return { executionId, seq, at, output: body };
}
