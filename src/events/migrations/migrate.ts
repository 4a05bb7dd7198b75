/** Brings a database to this release's schema, and stops a gateway that is too old for its database. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { STREAM_KINDS } from '../../domain/entities.ts';
import {
  type Client,
  createClient,
  type DatabaseAddress,
  inTransaction,
  type Sql,
} from '../connection/client.ts';
import { PROJECTIONS } from '../projections/projections.ts';

// Which gateways may work on a database. Each change of `migrations/` has a version, and names the oldest version whose
// gateways may still work on the changed database. Both numbers are in the table `schema_versions`. So old and new
// gateways serve together during a rolling update, and only the newest release changes tables and functions. A gateway
// that is too old gets a message, whether it is starting or already running.

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
 * @throws Error, with a message for the operator, if the database has such tables
 */
async function refuseUnreleased(sql: Sql, { folder }: Release): Promise<void> {
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

/** The folder is beside `src` and beside `dist`, so one path fits both. */
const MIGRATIONS = fileURLToPath(new URL('../../../migrations', import.meta.url));

/** The schema that this release gives a database: `migrations/schema.json`, and the files that it names. */
export interface Release {
  /** Rises with every change of `migrations/`. */
  readonly version: number;
  /** The oldest version whose gateways may still work on a database of this version. */
  readonly compatibleFrom: number;
  /** The folder with the migrations that make the tables. */
  readonly folder: string;
  /** Functions and views, in the order in which they are applied. */
  readonly files: readonly SqlFile[];
}

export interface SqlFile {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

export function readRelease(folder = MIGRATIONS): Release {
  const text = readFileSync(join(folder, 'schema.json'), 'utf8');
  const { version, compatibleFrom, sql } = JSON.parse(text) as Omit<Release, 'folder' | 'files'> & {
    readonly sql: readonly string[];
  };
  const files = sql.map((name) => readSqlFile(join(folder, 'sql'), name));
  return { version, compatibleFrom, folder, files };
}

function readSqlFile(folder: string, name: string): SqlFile {
  const sql = readFileSync(join(folder, name), 'utf8');
  return { name, sql, sha256: sha256(sql) };
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The name in `sql_files` for the functions that `cellhouse_make_projections` makes. */
const MADE = 'made by cellhouse_make_projections';

/**
 * Applies the files of functions and views that have changed since they were last applied, in their order. Then, if a
 * table or an entity may have changed, makes new versions of the functions that write projections. All of this is one
 * transaction. If it fails, the connection must be closed.
 */
async function applySql(sql: Sql, { files }: Release): Promise<void> {
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
  // The version is written last: an interrupted update is then repeated. If a first use has raised `compatible_from`
  // (firstUse.ts), it stays raised.
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

/** Interval between two checks: about how long a gateway still works after its database has become too new for it. */
const POLL_MS = 2_000;

interface CompatibilityWatch {
  /**
   * Resolves with a message for the operator once this release is too old for the database. Until then it stays
   * pending.
   */
  readonly outdated: Promise<string>;
  /** Idempotent. */
  close(): void;
}

/** Checks regularly whether a later release has made this one too old for the database. One check runs at a time. */
export function watchCompatibility(
  client: Client,
  release: Release,
  logger: Logger,
): CompatibilityWatch {
  const closing = new AbortController();
  const { signal } = closing;
  const outdated = new Promise<string>((resolve) => {
    const watch = async (): Promise<void> => {
      for (;;) {
        await pause(POLL_MS, signal);
        if (signal.aborted) return;
        try {
          const found = await client.answered(readSchemaVersion(client.sql));
          const objection = found && tooOld(release, found);
          if (objection) return resolve(objection);
        } catch (err: unknown) {
          if (!signal.aborted)
            logger.warn(
              { err },
              'Could not check whether a later release has changed the database',
            );
        }
      }
    };
    void watch();
  });
  return { outdated, close: () => closing.abort() };
}
