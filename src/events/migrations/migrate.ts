import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import { createClient, type Sql } from '../connection/client.ts';
import type { DatabaseAddress } from '../connection/databaseAddress.ts';
import { inTransaction } from '../connection/oneConnection.ts';
import { applySql } from './applySql.ts';
import { readSchemaVersion, refuseUnreleased, tooOld } from './compatibility.ts';
import type { Release } from './release.ts';

/**
 * The lock makes gateways that start together migrate one after the other. The number is arbitrary: "cell" in ASCII.
 */
const MIGRATION_LOCK = 1_667_591_276;
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Brings the database up to this release: tables, then functions and views. Changes nothing if a later release has
 * already updated the database and this release may still work on it. Several processes may call this at the same time.
 * @throws Error with the cause, or with a message for the operator if this release cannot work on this database
 */
export async function migrate(address: DatabaseAddress, release: Release): Promise<void> {
  // The connection that holds the lock also runs the migrations. A new connection would not hold the lock.
  const client = createClient(address, {
    name: 'migrate',
    maxConnections: 1,
    reconnects: false,
    statementTimeoutMs: 0,
    lockTimeoutMs: 0,
  });
  let isDone = false;
  try {
    await client.sql`SELECT pg_advisory_lock(${MIGRATION_LOCK})`.catch((cause: unknown) => {
      throw new Error(
        'PostgreSQL could not be reached. Check that it runs, and that DATABASE_URL (if set) is right.',
        { cause },
      );
    });
    await upgrade(client.sql, release);
    isDone = true;
  } finally {
    // Closing the connection releases the lock, and rolls back a failed transaction.
    await client.close(isDone ? CLOSE_TIMEOUT_MS : 0);
  }
}

async function upgrade(sql: Sql, release: Release): Promise<void> {
  const found = await readSchemaVersion(sql);
  const objection = found && tooOld(release, found);
  if (objection) throw new Error(objection);
  // Functions of an older release must not replace those of a later one.
  if (found && found.version > release.version) return;
  await refuseUnreleased(sql, release);
  await bringUp(sql, release).catch((cause: unknown) => {
    throw new Error('The tables could not be brought up to date.', { cause });
  });
}

async function bringUp(sql: Sql, release: Release): Promise<void> {
  await changeTables(sql, release.folder);
  await applySql(sql, release);
  // The version is written last: an interrupted update is then repeated.
  // What a first use has raised (firstUse.ts) stays raised.
  await sql`INSERT INTO schema_versions (version, compatible_from, raised_at)
    SELECT ${release.version}, greatest(${release.compatibleFrom}::int, max(v.compatible_from)), max(v.raised_at)
    FROM schema_versions v ON CONFLICT DO NOTHING`;
}

/**
 * Applies the migrations that were not applied yet, in the same way as Drizzle's own `migrate`. Each is a transaction
 * of its own. In a single transaction, each migration would keep its locks until the last one has run. Other gateways
 * lock the same tables in another order, so there would be deadlocks.
 */
async function changeTables(sql: Sql, migrationsFolder: string): Promise<void> {
  const [is] = await sql<{ begun: boolean }[]>`
    SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS begun`;
  if (!is?.begun) {
    await sql`CREATE SCHEMA IF NOT EXISTS drizzle`;
    await sql`
      CREATE TABLE drizzle.__drizzle_migrations (
        id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)`;
  }
  const [last] = await sql<{ at: number | null }[]>`
    SELECT max(created_at)::float8 AS at FROM drizzle.__drizzle_migrations`;
  for (const migration of readMigrationFiles({ migrationsFolder }))
    if (migration.folderMillis > (last?.at ?? 0))
      await inTransaction(sql, (inside) => changeTablesBy(inside, migration));
}

async function changeTablesBy(sql: Sql, { sql: statements, hash, folderMillis }: MigrationMeta) {
  for (const statement of statements) await sql.unsafe(statement);
  await sql`
    INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES (${hash}, ${folderMillis})`;
}
