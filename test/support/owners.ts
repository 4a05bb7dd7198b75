/** Whose each id in a database is, from all tables. */
import type { TestDatabase } from './database.ts';

export interface Owner {
  /** Null: it is nobody's, such as a worker that no session has had. */
  readonly tenant: string | null;
  readonly userUuid: string | null;
}

/** The owner of each row of a tenant, of each worker, and of each event. */
export async function readOwners({ sql }: TestDatabase): Promise<Map<string, Owner>> {
  const owners = new Map<string, Owner>();
  for (const table of await tablesOfTenants({ sql })) {
    const rows = await sql<{ id: string; tenant: string; userUuid: string | null }[]>`
      SELECT id::text, tenant, user_uuid FROM ${sql(table)}`;
    for (const { id, tenant, userUuid } of rows) owners.set(id, { tenant, userUuid });
  }
  const workers = await sql<{ id: string; tenant: string | null; userUuid: string | null }[]>`
    SELECT w.id::text, s.tenant, s.user_uuid FROM workers w LEFT JOIN sessions s ON s.worker_id = w.id`;
  for (const { id, tenant, userUuid } of workers) owners.set(id, { tenant, userUuid });
  const events = await sql<{ id: string; of: string }[]>`
    SELECT event_id::text AS id, substring(stream_id from '^[^-]+-(.*)$') AS of FROM events`;
  for (const { id, of } of events) {
    const owner = owners.get(of);
    if (owner !== undefined) owners.set(id, owner);
  }
  return owners;
}

/** Every table whose rows have an id and a tenant: a new one is among them at once. */
async function tablesOfTenants({ sql }: Pick<TestDatabase, 'sql'>): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name IN ('id', 'tenant', 'user_uuid')
    GROUP BY table_name HAVING count(*) = 3`;
  return rows.map(({ name }) => name);
}
