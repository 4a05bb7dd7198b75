import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as runMigrations } from 'drizzle-orm/postgres-js/migrator';
import { createClient, type Sql } from '../connection/client.ts';
import type { DatabaseAddress } from '../connection/databaseAddress.ts';
import { applySql } from './applySql.ts';
import { readSchemaVersion, refuseUnreleased, tooOld } from './compatibility.ts';
import type { Release } from './release.ts';

/** Any number that nobody else uses: "cell" in ASCII. Gateways that start together migrate one after the other. */
const MIGRATION_LOCK = 1_667_591_276;
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Brings the database up to this release: tables, then functions and views. Leaves it as it is if a later release has been there and
 * this one may go on beside it. Safe to run by several processes at once.
 * @throws Error with the cause, or in words for the operator if this database and this release do not go together
 */
export async function migrate(address: DatabaseAddress, release: Release): Promise<void> {
  // One connection: it holds the lock, and the migrations run on it. Its own client, for Drizzle changes its serialisers.
  const client = createClient(address, {
    name: 'migrate',
    maxConnections: 1,
    keepsColumnNames: true,
    statementTimeoutMs: 0,
    lockTimeoutMs: 0,
  });
  try {
    await client.sql`SELECT pg_advisory_lock(${MIGRATION_LOCK})`.catch((cause: unknown) => {
      throw new Error(
        'PostgreSQL could not be reached. See that it runs, and that DATABASE_URL (if set) is right.',
        { cause },
      );
    });
    await upgrade(client.sql, release);
  } finally {
    // Ends the connection and with it the lock.
    await client.close(CLOSE_TIMEOUT_MS);
  }
}

async function upgrade(sql: Sql, release: Release): Promise<void> {
  const found = await readSchemaVersion(sql);
  if (found === null) await refuseUnreleased(sql);
  const objection = found && tooOld(release, found);
  if (objection) throw new Error(objection);
  // Functions of an older release must not replace those of a later one.
  if (found && found.version > release.version) return;
  await bringUp(sql, release).catch((cause: unknown) => {
    throw new Error('The tables could not be brought up to date.', { cause });
  });
}

async function bringUp(sql: Sql, release: Release): Promise<void> {
  await runMigrations(drizzle(sql), { migrationsFolder: release.folder });
  await applySql(sql, release);
  // Last: what was cut off before is done again.
  await sql`INSERT INTO schema_versions (version, compatible_from)
    VALUES (${release.version}, ${release.compatibleFrom}) ON CONFLICT DO NOTHING`;
}
