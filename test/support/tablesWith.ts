import type { Sql } from '../../src/events/connection/client.ts';
import { SECRET_IN_SQL } from '../../testkit/secrets.ts';

/** The names of all tables with a row that contains the text. */
export async function tablesWith({ sql }: { readonly sql: Sql }, text: string): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    SELECT quote_ident(table_name) AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
  const found = [];
  for (const { name } of tables) {
    const rows = await sql.unsafe(`SELECT 1 FROM ${name} t WHERE t::text LIKE $1 LIMIT 1`, [
      `%${text}%`,
    ]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}

/**
 * The names of all tables with a secret of a token. The output of code is left out: it is large, and only code decides
 * what is in it.
 */
export async function tablesWithSecrets({ sql }: { readonly sql: Sql }): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    SELECT quote_ident(table_name) AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'output_events'`;
  if (tables.length === 0) return [];
  const each = tables.map(
    ({ name }) =>
      `SELECT '${name}' AS name WHERE EXISTS (SELECT FROM ${name} t WHERE t::text ~ '${SECRET_IN_SQL}')`,
  );
  const found = await sql.unsafe<{ name: string }[]>(each.join(' UNION ALL '));
  return found.map(({ name }) => name);
}
