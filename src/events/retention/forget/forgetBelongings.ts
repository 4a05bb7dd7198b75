import type { EntityState } from '../../../domain/entities.ts';
import type { OwnedKind } from '../../../domain/redactedEvents.ts';
import type { Sql } from '../../connection/client.ts';
import { pruneOutputs } from '../pruneOutputs.ts';

/**
 * Forgets data in other tables that belongs to rows of one kind. Most of it was already deleted when they ended.
 * @returns how many outputs were deleted
 */
export async function forgetBelongings(
  sql: Sql,
  kind: OwnedKind,
  rows: readonly EntityState[],
): Promise<number> {
  const ids = rows.map(({ id }) => id);
  switch (kind) {
    case 'session': {
      const workers = rows.map((row) => ('workerId' in row ? row.workerId : row.id));
      await sql`DELETE FROM session_variables WHERE session_id = ANY (${ids}::uuid[])`;
      await sql`DELETE FROM session_uses WHERE session_id = ANY (${ids}::uuid[])`;
      await forgetHosts(sql, ids);
      await sql`DELETE FROM context_readers WHERE session_id = ANY (${ids}::uuid[])`;
      await sql`
        UPDATE worker_cursors SET progress = NULL
        WHERE worker_id = ANY (${workers}::uuid[]) AND progress IS NOT NULL`;
      return 0;
    }
    case 'execution': {
      await sql`DELETE FROM execution_variables WHERE execution_id = ANY (${ids}::uuid[])`;
      await sql`DELETE FROM execution_inputs WHERE execution_id = ANY (${ids}::uuid[])`;
      return await pruneOutputs(sql, ids, 'forgotten');
    }
    case 'token':
      await sql`DELETE FROM token_uses WHERE token_id = ANY (${ids}::uuid[])`;
      return 0;
    case 'context':
    case 'fileChange':
    case 'notebook':
    case 'quota':
      return 0;
    default:
      return kind satisfies never;
  }
}

/** The hosts that code asked for came from its user, so they are removed. The amounts stay. */
async function forgetHosts(sql: Sql, sessionIds: readonly string[]): Promise<void> {
  await sql`
    WITH gone AS (
      DELETE FROM egress_counts WHERE session_id = ANY (${sessionIds}::uuid[]) AND host <> '' RETURNING *
    )
    INSERT INTO egress_counts AS c (session_id, minute, host, port, outcome, connections, sent_bytes, received_bytes)
    SELECT session_id, minute, '', 0, outcome, sum(connections), sum(sent_bytes), sum(received_bytes)
    FROM gone GROUP BY session_id, minute, outcome
    ON CONFLICT (session_id, minute, host, port, outcome) DO UPDATE SET
      connections = c.connections + excluded.connections,
      sent_bytes = c.sent_bytes + excluded.sent_bytes,
      received_bytes = c.received_bytes + excluded.received_bytes`;
}
