/**
 * Which gateways may work on a database. Each change of `migrations/` has a version, and names the oldest version whose
 * gateways may still work on the changed database. Both numbers are in the table `schema_versions`. So old and new
 * gateways serve together during a rolling update, and only the newest release changes tables and functions. A gateway
 * that is too old gets a message, whether it is starting or already running.
 */
import { readMigrationFiles } from 'drizzle-orm/migrator';
import type { Sql } from '../connection/client.ts';
import type { Release } from './release.ts';

export interface SchemaVersion {
  readonly version: number;
  readonly compatibleFrom: number;
}

/** The database's current schema version. Null if no gateway has made its tables yet. */
export async function readSchemaVersion(sql: Sql): Promise<SchemaVersion | null> {
  const [{ table } = { table: null }] = await sql`SELECT to_regclass('schema_versions') AS table`;
  if (table === null) return null;
  const [newest] = await sql<SchemaVersion[]>`
    SELECT version, compatible_from AS "compatibleFrom" FROM schema_versions ORDER BY version DESC LIMIT 1`;
  return newest ?? null;
}

/** The message for an operator whose `release` is too old for the database. Null if it is not too old. */
export function tooOld({ version }: Release, database: SchemaVersion): string | null {
  if (version >= database.compatibleFrom) return null;
  return `This gateway is too old for its database: it knows schema version ${version}, and the database is at ${database.version}. Gateways of this database must know at least version ${database.compatibleFrom}. Start the release that the other gateways run, or a later one.`;
}

/**
 * For commands that work on the whole history without a gateway: they must know every entity, column and event in it.
 * @throws Error, with a message for the operator, if this release's schema version is not that of the database
 */
export async function requireSameRelease(sql: Sql, { version }: Release): Promise<void> {
  const database = (await readSchemaVersion(sql))?.version ?? 0;
  if (database === version) return;
  throw new Error(
    `This release knows schema version ${version}, and the database is at ${database}. Run this with the release of the newest gateway.`,
  );
}

/** @throws Error, with a message for the operator, if no gateway has made the tables yet */
export async function requireTables(sql: Sql): Promise<void> {
  if ((await readSchemaVersion(sql)) !== null) return;
  throw new Error('This database has no tables of Cellhouse yet. Start a gateway on it first.');
}

/**
 * All releases have the same first migration. Tables that another first migration made are from before the first
 * release.
 * @throws Error, with a message for the operator, if it has such tables
 */
export async function refuseUnreleased(sql: Sql, { folder }: Release): Promise<void> {
  const [table] = await sql<{ isThere: boolean; hasMigrations: boolean }[]>`
    SELECT to_regclass('events') IS NOT NULL AS is_there,
      to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AS has_migrations`;
  if (!table?.isThere) return;
  const [first] = readMigrationFiles({ migrationsFolder: folder });
  const begun = table.hasMigrations
    ? await sql`SELECT FROM drizzle.__drizzle_migrations WHERE hash = ${first?.hash ?? ''}`
    : [];
  if (begun.length > 0) return;
  throw new Error(
    'This database was made by a version of Cellhouse from before the first release, and cannot be used any more. End that installation with its own `npm stop`, then start on a new DATA_DIR (with DATABASE_URL: on an empty database).',
  );
}
