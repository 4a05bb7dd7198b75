import { existsSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../errors.ts';

/** The processes that work in one cluster. A server's processes all have its data folder as working directory. */
export interface ClusterProcesses {
  /** The one that started the others; null if it is gone. */
  readonly postmaster: number | null;
  /** What a killed postmaster left behind: they end by themselves only once they next wait. */
  readonly orphans: readonly number[];
}

/** Children rename themselves `postgres: <what they do>`; the postmaster keeps its command line. */
const CHILD_TITLE = 'postgres: ';

/** Looks through /proc, since a pid file may name a process that has the number now, and names no orphans. */
export function findClusterProcesses(dataDir: string): ClusterProcesses {
  const folder = statSync(dataDir);
  let postmaster: number | null = null;
  const children: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const title = titleOfProcessIn(folder, name);
    if (title === null) continue;
    if (title.startsWith(CHILD_TITLE)) children.push(Number(name));
    else postmaster = Number(name);
  }
  return { postmaster, orphans: postmaster === null ? children : [] };
}

/**
 * The command line of the process, if it is a PostgreSQL that works in the folder, else null. The folder itself is
 * compared: a path can mean another one to a process in a container.
 */
function titleOfProcessIn(folder: Stats, pid: string): string | null {
  try {
    const cwd = statSync(join('/proc', pid, 'cwd'));
    if (cwd.ino !== folder.ino || cwd.dev !== folder.dev) return null;
    const title = readFileSync(join('/proc', pid, 'cmdline'), 'utf8').replaceAll('\0', ' ');
    return title.startsWith(CHILD_TITLE) || /^\S*postgres /.test(title) ? title : null;
  } catch (e: unknown) {
    // Gone meanwhile, or another user's: not ours.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].some((code) => hasCode(e, code))) return null;
    throw e;
  }
}

/** Whether there is such a process, whatever it is. One that has ended and that nobody reaps has no folder any more. */
export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/cwd`);
}

/** Signals a process; false if there is none. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (e: unknown) {
    if (hasCode(e, 'ESRCH')) return false;
    throw e;
  }
}
