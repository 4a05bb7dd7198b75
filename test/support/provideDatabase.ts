/**
 * Starts one embedded PostgreSQL for all files of test/int, in its own folder. `inject('database')` gives its address.
 * Each file makes its own database (see database.ts).
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import type { SocketAddress } from '../../src/postgres/socketAddress.ts';

declare module 'vitest' {
  interface ProvidedContext {
    database: SocketAddress;
  }
}

/** Contains the id of the owning process. Any test run removes folders whose process is gone. */
export const ownedFolder = (pid: number): string => `cellhouse-test-postgres-${pid}-`;
const OWNED = /^cellhouse-test-postgres-(\d+)-/;
const logger = pino({ level: 'silent' });

export default async function provideDatabase(project: TestProject): Promise<() => Promise<void>> {
  await removeAbandoned();
  const dataDir = mkdtempSync(join(tmpdir(), ownedFolder(process.pid)));
  project.provide('database', await ensureEmbeddedPostgres({ dataDir, logger }));
  return () => remove(dataDir);
}

/**
 * Removes what killed test runs left. The embedded server outlives its starter by design, so they could not stop
 * theirs.
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
