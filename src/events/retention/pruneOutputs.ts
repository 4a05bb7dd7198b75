import type { Sql } from '../connection/client.ts';

/** `GapOutput.reason` of the gap that replaces removed output. */
const GAP_REASONS = ['pruned', 'forgotten'] as const;
export type GapReason = (typeof GAP_REASONS)[number];

/** The outputs of executions, without their finishes: one JSON object each, in order. */
export async function outputLines(sql: Sql, executionIds: readonly string[]): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    SELECT json_build_object('table', 'output_events', 'row', row_to_json(o))::text AS line
    FROM output_events o WHERE o.execution_id = ANY (${executionIds}::uuid[]) AND o.kind <> 'finish'
    ORDER BY o.execution_id, o.seq`;
  return rows.map(({ line }) => line);
}

/**
 * Deletes the outputs of finished executions. The finish stays. The last output before it becomes a gap that says how
 * many bytes are gone, so that readers notice. A gap from an earlier removal stays as it is: it knows the original
 * size, and a new one would not.
 * @returns how many outputs there were
 */
export async function pruneOutputs(
  sql: Sql,
  executionIds: readonly string[],
  reason: GapReason,
): Promise<number> {
  const [found] = await sql<{ count: number }[]>`
    WITH last AS (
      SELECT o.execution_id, max(o.seq) AS seq, sum(o.bytes) AS bytes, count(*) AS count
      FROM output_events o WHERE o.execution_id = ANY (${executionIds}::uuid[])
        -- The bodies of other kinds are not searched: their JSON may contain a character that the type text of
        -- PostgreSQL refuses.
        AND CASE o.kind WHEN 'finish' THEN false
          WHEN 'gap' THEN o.body ->> 'reason' <> ALL (${[...GAP_REASONS]}::text[]) ELSE true END
      GROUP BY o.execution_id
    ), told AS (
      UPDATE output_events o SET kind = 'gap', body = b.body, bytes = length(b.body::text)
      FROM last l, json_build_object('kind', 'gap', 'reason', ${reason}::text, 'droppedBytes', l.bytes) AS b (body)
      WHERE o.execution_id = l.execution_id AND o.seq = l.seq
    ), deleted AS (
      DELETE FROM output_events o USING last l
      WHERE o.execution_id = l.execution_id AND o.seq < l.seq
    )
    SELECT coalesce(sum(l.count), 0)::bigint AS count FROM last l`;
  return found?.count ?? 0;
}
