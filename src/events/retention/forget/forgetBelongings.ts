import type { EntityState } from '../../../domain/entities.ts';
import type { OwnedKind } from '../../../domain/redactedEvents.ts';
import type { Sql } from '../../connection/client.ts';
import { pruneOutputs } from '../pruneOutputs.ts';

/**
 * Forgets what belongs to rows of one kind and is in other tables. Most of it went with their end.
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
