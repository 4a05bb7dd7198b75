import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as runMigrations } from 'drizzle-orm/postgres-js/migrator';
import { createClient } from './connection/client.ts';
import type { DatabaseAddress } from './connection/databaseAddress.ts';

/** Any number that nobody else uses: "cell" in ASCII. Gateways that start together migrate one after the other. */
const MIGRATION_LOCK = 1_667_591_276;
const CLOSE_TIMEOUT_MS = 2_000;

/** Brings the database's tables up to date. Safe to run by several processes at once. @throws Error with the cause */
export async function migrate(address: DatabaseAddress): Promise<void> {
  // One connection: it holds the lock, and the migrations run on it. Its own client, for Drizzle changes its serialisers.
  const client = createClient(address, {
    name: 'migrate',
    maxConnections: 1,
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
    await runMigrations(drizzle(client.sql), {
      migrationsFolder: fileURLToPath(new URL('../../migrations', import.meta.url)),
    }).catch((cause: unknown) => {
      throw new Error('The tables could not be brought up to date.', { cause });
    });
  } finally {
    // Ends the connection and with it the lock.
    await client.close(CLOSE_TIMEOUT_MS);
  }
}
