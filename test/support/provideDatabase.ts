/**
 * Starts one embedded PostgreSQL for all files of test/int, in its own folder. `inject('database')` gives its address.
 * Each file makes its own database (see database.ts), mostly as a copy of one that has all tables.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/events/migrations/migrate.ts';
import { readRelease } from '../../src/events/migrations/release.ts';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import type { SocketAddress } from '../../src/postgres/socketAddress.ts';
import { onServer, WITH_TABLES } from '../../testkit/sharedServer.ts';

declare module 'vitest' {
  interface ProvidedContext {
    database: SocketAddress;
  }
}

/** A folder's name contains the id of its process. Any test run removes the folders of processes that are gone. */
export const ownedFolder = (pid: number): string => `cellhouse-test-postgres-${pid}-`;
const OWNED = /^cellhouse-test-postgres-(\d+)-/;
const logger = pino({ level: 'silent' });

export default async function provideDatabase(project: TestProject): Promise<() => Promise<void>> {
  await removeAbandoned();
  const dataDir = mkdtempSync(join(tmpdir(), ownedFolder(process.pid)));
  const server = await ensureEmbeddedPostgres({ dataDir, logger });
  await makeTables(server);
  project.provide('database', server);
  return () => remove(dataDir);
}

/** Makes the database that others are copied from. */
export async function makeTables(server: SocketAddress): Promise<void> {
  await onServer(server, (sql) => sql`CREATE DATABASE ${sql(WITH_TABLES)}`);
  await migrate({ ...server, database: WITH_TABLES }, readRelease());
}

/**
 * Removes the servers and folders that killed test runs have left. By design, an embedded server outlives the process
 * that started it.
 */
async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = OWNED.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await remove(join(tmpdir(), name));
  }
}

async function remove(dataDir: string): Promise<void> {
  await stopEmbeddedPostgres({ dataDir, logger });
  rmSync(dataDir, { recursive: true, force: true });
}
