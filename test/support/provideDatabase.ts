/**
 * Starts one embedded PostgreSQL for all files of test/int, in its own folder. `inject('database')` gives its address.
 * Each file makes its own database (see database.ts), mostly as a copy of one that has all tables.
 */

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import { migrate, readRelease } from '../../src/events/migrations/migrate.ts';
import {
  ensureEmbeddedPostgres,
  type SocketAddress,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { onServer, WITH_TABLES } from '../../testkit/sharedServer.ts';

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

// Folders of embedded PostgreSQL servers that test runs start. A folder's name contains the id of the test process. By
// design, an embedded server outlives the process that started it. So each test run removes the servers of killed runs.

const PREFIX = 'cellhouse-test-postgres-';
const OWNED = new RegExp(`^${PREFIX}(\\d+)-`);
export const logger = pino({ level: 'silent' });

/** Makes a folder, to be the DATA_DIR of a server of this process. @returns its path */
export function makeOwnedFolder(): string {
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Stops the server, if one runs there, and removes the folder. */
export async function removeOwned(dataDir: string): Promise<void> {
  await stopEmbeddedPostgres({ dataDir, logger });
  rmSync(dataDir, { recursive: true, force: true });
}

/** Removes the servers and folders whose process is gone. */
export async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = OWNED.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await removeOwned(join(tmpdir(), name));
  }
}
