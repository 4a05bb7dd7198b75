import type { Client } from '../connection/client.ts';
import { decodeEvent, type EventRow } from '../store/eventCodec.ts';
import type { CommandQueries } from './queries.ts';

export function createCommandQueries({ sql, answered }: Client): CommandQueries {
  return {
    pendingRequests: async (workerId, rules) => {
      const rows = await answered(sql<EventRow[]>`
        WITH open_streams AS (
          SELECT 'execution-' || id AS stream_id FROM executions
          WHERE worker_id = ${workerId} AND finished_at IS NULL
          UNION ALL
          SELECT 'session-' || id FROM sessions WHERE worker_id = ${workerId} AND closed_at IS NULL
        ), rules AS (
          SELECT request, answer ->> 'type' AS answer, coalesce(answer -> 'data', '{}') AS answer_data,
            answer ->> 'answers' AS answers
          FROM jsonb_to_recordset(${JSON.stringify(rules)}::text::jsonb) AS r (request text, answer jsonb)
        ), requests AS (
          SELECT e.*, r.answer, r.answer_data, r.answers,
            row_number() OVER alike AS number, min(e.position) OVER alike AS first_position
          FROM open_streams s JOIN events e USING (stream_id) JOIN rules r ON r.request = e.type
          WINDOW alike AS (PARTITION BY stream_id, e.type ORDER BY e.position)
        )
        SELECT position, event_id, stream_id, version, type, schema_version, data, metadata, recorded_at
        FROM requests q WHERE (
          SELECT CASE q.answers
            WHEN 'all' THEN count(*) FILTER (WHERE a.position > q.position) = 0
            -- In order, so the newest are those that may have none. (Two that were answered by one event leave one too
            -- many; the agent knows it.)
            WHEN 'at-least-one' THEN count(*) < q.number
          END
          FROM events a
          WHERE a.stream_id = q.stream_id AND a.type = q.answer AND a.data @> q.answer_data
            AND a.position > q.first_position
        ) ORDER BY position`);
      return rows.map(decodeEvent);
    },
  };
}
