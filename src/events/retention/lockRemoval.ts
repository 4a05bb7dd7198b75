import type { Sql } from '../connection/client.ts';
import { COMMITS, LOCK_CLASS, REMOVAL } from '../store/advisoryLocks.ts';

/**
 * A transaction that removes events must call this before it takes any other lock. First it waits for its turn among
 * removals, then among commits. It takes the lock of commits shared, as commits do: a rebuild that compares rows with
 * events must not see events change.
 */
export async function lockRemoval(sql: Sql): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}, ${REMOVAL})`;
  await sql`SELECT pg_advisory_xact_lock_shared(${LOCK_CLASS}, ${COMMITS})`;
}
