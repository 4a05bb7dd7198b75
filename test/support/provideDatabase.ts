/**
 * Starts one embedded PostgreSQL for all files of test/int, in its own folder. `inject('database')` gives its address.
 * Each file makes its own database (see database.ts), mostly as a copy of one that has all tables.
 */
import type { TestProject } from 'vitest/node';
import { migrate, readRelease } from '../../src/events/migrations/migrate.ts';
import { ensureEmbeddedPostgres, type SocketAddress } from '../../src/postgres/embeddedPostgres.ts';
import { onServer, WITH_TABLES } from '../../testkit/sharedServer.ts';
import { logger, makeOwnedFolder, removeAbandoned, removeOwned } from './ownedServers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    database: SocketAddress;
  }
}

export default async function provideDatabase(project: TestProject): Promise<() => Promise<void>> {
  await removeAbandoned();
  const dataDir = makeOwnedFolder();
  const server = await ensureEmbeddedPostgres({ dataDir, logger });
  await makeTables(server);
  project.provide('database', server);
  return () => removeOwned(dataDir);
}

/** Makes the database that others are copied from. */
export async function makeTables(server: SocketAddress): Promise<void> {
  await onServer(server, (sql) => sql`CREATE DATABASE ${sql(WITH_TABLES)}`);
  await migrate({ ...server, database: WITH_TABLES }, readRelease());
}
