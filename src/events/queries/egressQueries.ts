import type { EgressCount } from '../../domain/egress/egressCount.ts';
import type { Client } from '../connection/client.ts';

export function createEgressQueries({ sql, answered }: Client) {
  return {
    /**
     * Adds to the counts. Several gateways may do so at the same time, because all lock the rows in the same order. A
     * call must not be repeated after a lost answer: the counts may have been added or not. Counts of a session whose
     * user was forgotten meanwhile are added without their hosts.
     */
    recordEgress: async (rows: readonly EgressCount[]): Promise<void> => {
      await answered(sql`
        INSERT INTO egress_counts AS c
          (session_id, minute, host, port, outcome, connections, sent_bytes, received_bytes)
        SELECT t."sessionId", t.minute, CASE WHEN f.it THEN '' ELSE t.host END, CASE WHEN f.it THEN 0 ELSE t.port END,
          t.outcome, sum(t.connections), sum(t."sentBytes"), sum(t."receivedBytes")
        FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS t (
          "sessionId" uuid, minute timestamptz, host text, port integer, outcome text,
          connections bigint, "sentBytes" bigint, "receivedBytes" bigint
        )
        CROSS JOIN LATERAL (
          SELECT EXISTS (
            SELECT FROM events e JOIN event_removals r ON r.position = e.position AND r.leaf IS NOT NULL
            WHERE e.stream_id = 'session-' || t."sessionId" AND e.version = 1
          ) AS it
        ) f
        GROUP BY 1, 2, 3, 4, 5
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (session_id, minute, host, port, outcome) DO UPDATE SET
          connections = c.connections + excluded.connections,
          sent_bytes = c.sent_bytes + excluded.sent_bytes,
          received_bytes = c.received_bytes + excluded.received_bytes`);
    },
  };
}
