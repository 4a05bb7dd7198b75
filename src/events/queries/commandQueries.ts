import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import type { WorkerId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import { decodeEvent, type EventRow } from '../store/eventCodec.ts';

/**
 * The type of an event that requests something of a worker, and the event that answers it. Both belong to the same
 * stream.
 */
export interface RequestRule {
  readonly request: DomainEvent['type'];
  readonly answer: {
    readonly type: DomainEvent['type'];
    /** An event is an answer only if its data has these values. */
    readonly data?: Readonly<Record<string, string>>;
    /** `all`: it answers all earlier requests. `at-least-one`: it answers the oldest open request, and perhaps more. */
    readonly answers: 'all' | 'at-least-one';
  };
}

export function createCommandQueries({ sql, answered }: Client) {
  return {
    /**
     * Requests to a worker (of its open session and contexts and its unfinished executions) that may be unanswered, in
     * the order in which they were made. Each may have been sent to the agent already.
     */
    pendingRequests: async (
      workerId: WorkerId,
      rules: readonly RequestRule[],
    ): Promise<RecordedEvent[]> => {
      const rows = await answered(sql<EventRow[]>`
        WITH open_streams AS (
          SELECT 'execution-' || id AS stream_id FROM executions
          WHERE worker_id = ${workerId} AND finished_at IS NULL
          UNION ALL
          SELECT 'session-' || id FROM sessions WHERE worker_id = ${workerId} AND closed_at IS NULL
          UNION ALL
          SELECT 'context-' || id FROM contexts WHERE worker_id = ${workerId} AND ended_at IS NULL
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
            -- Requests are answered in order. With n answers, the first n requests are answered, and the others may be
            -- open. One event may have answered two requests. Then one answered request is returned as well. That does
            -- no harm: the agent recognises a request that it has carried out.
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
