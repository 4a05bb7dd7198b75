import type { TestDatabase } from './database.ts';

/** The names of all tables with a row that contains the text. */
export async function tablesWith(db: TestDatabase, text: string): Promise<string[]> {
  const tables = await db.sql<{ name: string }[]>`
    SELECT quote_ident(table_name) AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
  const found = [];
  for (const { name } of tables) {
    const rows = await db.sql.unsafe(`SELECT 1 FROM ${name} t WHERE t::text LIKE $1 LIMIT 1`, [
      `%${text}%`,
    ]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}
