import { STREAM_KINDS } from '../../domain/entities.ts';
import type { Sql } from '../connection/client.ts';
import { inTransaction } from '../connection/oneConnection.ts';
import { PROJECTIONS } from '../projections/projections.ts';
import { type Release, sha256 } from './release.ts';

/** The name in `sql_files` for the functions that `cellhouse_make_projections` makes. */
const MADE = 'made by cellhouse_make_projections';

/**
 * Applies the files of functions and views that have changed since they were last applied, in their order. Then, if a
 * table or an entity may have changed, makes new versions of the functions that write projections. All of this is one
 * transaction. If it fails, the connection must be closed.
 */
export async function applySql(sql: Sql, { files }: Release): Promise<void> {
  await inTransaction(sql, async (tx) => {
    const rows = await tx<{ name: string; sha256: string }[]>`SELECT name, sha256 FROM sql_files`;
    const applied = new Map(rows.map((row) => [row.name, row.sha256]));
    for (const file of files) {
      if (applied.get(file.name) === file.sha256) continue;
      await tx.unsafe(file.sql);
      await remember(tx, file.name, file.sha256);
    }
    const entities = JSON.stringify(STREAM_KINDS.map(entityOf));
    const makers = files.find(({ name }) => name === 'cellhouse_make_projections.sql');
    const madeFrom = sha256([makers?.sha256, entities, await newestMigration(tx)].join());
    if (applied.get(MADE) === madeFrom) return;
    await tx`SELECT cellhouse_make_projections(${entities}::text::json)`;
    await remember(tx, MADE, madeFrom);
  });
}

function entityOf(kind: (typeof STREAM_KINDS)[number]) {
  const { table, firstPosition } = PROJECTIONS[kind];
  return { kind, table, firstPosition };
}

async function newestMigration(sql: Sql): Promise<string> {
  const [newest] = await sql<{ hash: string }[]>`
    SELECT hash FROM drizzle.__drizzle_migrations ORDER BY created_at DESC LIMIT 1`;
  return newest?.hash ?? '';
}

async function remember(sql: Sql, name: string, hash: string): Promise<void> {
  await sql`INSERT INTO sql_files (name, sha256) VALUES (${name}, ${hash})
    ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256`;
}
