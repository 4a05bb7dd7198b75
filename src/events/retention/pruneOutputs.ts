import type { Sql } from '../connection/client.ts';

/** `GapOutput.reason` of the gap that replaces pruned output. */
const REASON = 'pruned';

/**
 * Deletes the outputs of finished executions. The finish stays. The last output before it becomes a gap that says how
 * many bytes are gone, so that readers notice. Resolves with the former rows, one JSON object each, in order.
 */
export async function pruneOutputs(sql: Sql, executionIds: readonly string[]): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT json_build_object('table', 'output_events', 'row', row_to_json(o))::text AS line
    FROM output_events o WHERE o.execution_id = ANY (${executionIds}::uuid[]) AND o.kind <> 'finish'
    ORDER BY o.execution_id, o.seq`;
  await sql`
    WITH last AS (
      SELECT o.execution_id, max(o.seq) AS seq, sum(o.bytes) AS bytes
      FROM output_events o WHERE o.execution_id = ANY (${executionIds}::uuid[]) AND o.kind <> 'finish'
      GROUP BY o.execution_id
    ), told AS (
      UPDATE output_events o SET kind = 'gap', body = b.body, bytes = length(b.body::text)
      FROM last l, json_build_object('kind', 'gap', 'reason', ${REASON}::text, 'droppedBytes', l.bytes) AS b (body)
      WHERE o.execution_id = l.execution_id AND o.seq = l.seq
    )
    DELETE FROM output_events o USING last l
    WHERE o.execution_id = l.execution_id AND o.seq < l.seq`;
  return rows.map(({ line }) => line);
}
