/**
 * Folders of embedded PostgreSQL servers that test runs start. A folder's name contains the id of its process. By design,
 * an embedded server outlives the process that started it, so any test run removes what killed ones have left.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { stopEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';

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
