/** Creates and removes the folder that holds everything of a run, and cleans up after killed runs. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { stopEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';
import { signal } from '../../src/postgres/server.ts';
import { until } from '../../testkit/until.ts';

/** Short, because the workers' sockets are below it, and a socket's path may have at most 107 bytes. */
const PREFIX = 'ch-chaos-';
const END_LIMIT_MS = 10_000;

/** Creates a new folder. First it removes the folders of dead runs and ends their processes. */
export async function makeRootFolder(): Promise<string> {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('-')[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      await removeRootFolder(join(tmpdir(), name));
    }
  }
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Ends the folder's gateways and PostgreSQL, then removes the folder. The engine has its own folder elsewhere. */
export async function removeRootFolder(root: string): Promise<void> {
  for (const pid of gatewaysIn(root)) signal(pid, 'SIGKILL');
  await until('the gateways are gone', async () => gatewaysIn(root).length === 0, END_LIMIT_MS);
  await stopEmbeddedPostgres({
    dataDir: join(root, 'database'),
    logger: pino({ level: 'silent' }),
  });
  rmSync(root, { recursive: true, force: true });
}

function gatewaysIn(root: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => environmentOf(pid).includes(`DATA_DIR=${root}/`));
}

/** Empty if the process has ended, or if we may not read its environment. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}
