import type { EgressCount } from '../../domain/egress/egressCount.ts';
import type { Client } from '../connection/client.ts';

export function createEgressQueries({ sql, answered }: Client) {
  return {
    /**
     * Adds to the counts. Several gateways may do so at the same time, in the same order of rows. It is not repeated by
     * itself: if the answer is lost, they may have been added or not.
     */
    recordEgress: async (rows: readonly EgressCount[]): Promise<void> => {
      await answered(sql`
        INSERT INTO egress_counts AS c
          (session_id, minute, host, port, outcome, connections, sent_bytes, received_bytes)
        SELECT * FROM json_to_recordset(${JSON.stringify(rows)}::text::json) AS t (
          "sessionId" uuid, minute timestamptz, host text, port integer, outcome text,
          connections bigint, "sentBytes" bigint, "receivedBytes" bigint
        )
        ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (session_id, minute, host, port, outcome) DO UPDATE SET
          connections = c.connections + excluded.connections,
          sent_bytes = c.sent_bytes + excluded.sent_bytes,
          received_bytes = c.received_bytes + excluded.received_bytes`);
    },
  };
}
