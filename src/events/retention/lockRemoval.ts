import type { Sql } from '../connection/client.ts';
import { COMMITS, LOCK_CLASS, REMOVAL } from '../store/advisoryLocks.ts';

/**
 * Must come before everything else that a transaction locks which removes events, in this order: the turn among removals,
 * then that among commits. The lock of commits is shared, as they take it: a rebuild that compares rows with events must not see
 * events change.
 */
export async function lockRemoval(sql: Sql): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${REMOVAL})`;
  await sql`SELECT pg_advisory_xact_lock_shared(${LOCK_CLASS}, ${COMMITS})`;
}
