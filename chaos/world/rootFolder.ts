/** The one folder that holds everything of a run, and the end of all that a killed run has left. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { stopEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';
import { signal } from '../../src/postgres/processes.ts';
import { until } from '../../testkit/until.ts';

/** Short: below it lie the workers' sockets, and a socket's path ends at 107 bytes. */
const PREFIX = 'ch-chaos-';
const END_LIMIT_MS = 10_000;

/** Resolves with a new folder, once those of runs that are gone have been removed with all that worked in them. */
export async function makeRootFolder(): Promise<string> {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('-')[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      await removeRootFolder(join(tmpdir(), name));
    }
  }
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Ends the gateways and the PostgreSQL that work in it, then removes it. The engine has a folder of its own. */
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

/** Empty for a process that is gone, or is nobody's of ours. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}
