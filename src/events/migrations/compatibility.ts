/**
 * Which gateways may work on a database. Each change of `migrations/` has a version, and says from which version on older gateways may
 * go on beside it; both stand in the table `schema_versions`. So during a rolling update old and new gateways serve together, only
 * the newest changes tables and functions, and one that is too old is told, whether it starts or has been running all along.
 */
import type { Sql } from '../connection/client.ts';
import type { Release } from './release.ts';

export interface SchemaVersion {
  readonly version: number;
  readonly compatibleFrom: number;
}

/** The version that the database is at. Null: no gateway has made it yet. */
export async function readSchemaVersion(sql: Sql): Promise<SchemaVersion | null> {
  const [{ table } = { table: null }] = await sql`SELECT to_regclass('schema_versions') AS table`;
  if (table === null) return null;
  const [newest] = await sql<SchemaVersion[]>`
    SELECT version, compatible_from AS "compatibleFrom" FROM schema_versions ORDER BY version DESC LIMIT 1`;
  return newest ?? null;
}

/** What to tell whoever runs `release` on a database that it is too old for. Null: it may go on. */
export function tooOld({ version }: Release, database: SchemaVersion): string | null {
  if (version >= database.compatibleFrom) return null;
  return `This gateway is too old for its database: it knows schema version ${version}, and the database is at ${database.version}, which gateways from ${database.compatibleFrom} on can use. Start the release that the other gateways run, or a later one.`;
}

/**
 * For what works past the gateways on all that is recorded: it must know each entity, column and event that there is.
 * @throws Error, in words for the operator, if this release is not the one that the database is at
 */
export async function requireSameRelease(sql: Sql, { version }: Release): Promise<void> {
  const database = (await readSchemaVersion(sql))?.version ?? 0;
  if (database === version) return;
  throw new Error(
    `This release knows schema version ${version}, and the database is at ${database}. Run this with the release of the newest gateway.`,
  );
}

/** @throws Error, in words for the operator, if the tables were made by the migrations of before the first release */
export async function refuseUnreleased(sql: Sql): Promise<void> {
  const [{ table } = { table: null }] =
    await sql`SELECT to_regclass('drizzle.__drizzle_migrations') AS table`;
  if (table === null) return;
  // The empty table, and nothing else, is left by a first start that was cut off.
  const [{ has } = { has: false }] = await sql`
    SELECT to_regclass('events') IS NOT NULL AND to_regclass('schema_versions') IS NULL AS has`;
  if (!has) return;
  throw new Error(
    'This database was made by a version of Cellhouse from before the first release, and cannot be used any more. End that installation with its own `npm stop`, then start on a new DATA_DIR (with DATABASE_URL: on an empty database).',
  );
}
