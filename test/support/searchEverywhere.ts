import { createHash } from 'node:crypto';
import type { TestDatabase } from './database.ts';

/**
 * Where a text is, in any of the forms in which it could be stored: itself, in hexadecimal, in base64, or as a SHA-256.
 * All tables of all schemas are searched, and the statistics of the planner.
 */
export async function searchEverywhere(
  { sql }: Pick<TestDatabase, 'sql'>,
  texts: readonly string[],
): Promise<string[]> {
  const patterns = texts.flatMap(formsOf).map((form) => `%${form}%`);
  const tables = await sql<{ name: string }[]>`
    SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
  const found = [];
  for (const { name } of [...tables, { name: 'pg_stats' }]) {
    const rows = await sql.unsafe(
      `SELECT 1 FROM ${name} t WHERE t::text LIKE ANY ($1::text[]) LIMIT 1`,
      [patterns],
    );
    if (rows.length > 0) found.push(name);
  }
  return found;
}

function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const hash = createHash('sha256').update(bytes).digest();
  return [
    text,
    bytes.toString('hex'),
    ...base64Of(bytes),
    hash.toString('hex'),
    hash.toString('base64').replace(/=+$/, ''),
  ];
}

/** Within a longer text, the base64 of these bytes has one of three forms. The characters at both ends may differ. */
function base64Of(bytes: Buffer): string[] {
  return [0, 1, 2].map((offset) =>
    Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(4, -4),
  );
}
