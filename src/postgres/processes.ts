import { existsSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../domain/errors.ts';

/** The processes that work in one cluster. A server's processes all have its data folder as working directory. */
export interface ClusterProcesses {
  /** The one that started the others; null if it is gone. */
  readonly postmaster: number | null;
  /** What a killed postmaster left behind: they end by themselves only once they next wait. */
  readonly orphans: readonly number[];
}

/**
 * Children rename themselves `postgres: <what they do>`, but only a moment after they were forked: until then they have the
 * postmaster's command line, and only their parent tells.
 */
const CHILD_TITLE = 'postgres: ';

/** Looks through /proc, since a pid file may name a process that has the number now, and names no orphans. */
export function findClusterProcesses(dataDir: string): ClusterProcesses {
  const folder = statSync(dataDir);
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processIn(folder, name) ?? []);
  const isChild = ({ title, parent }: ClusterProcess) =>
    title.startsWith(CHILD_TITLE) || found.some(({ pid }) => pid === parent);
  const postmaster = found.find((each) => !isChild(each))?.pid ?? null;
  return { postmaster, orphans: postmaster === null ? found.map(({ pid }) => pid) : [] };
}

interface ClusterProcess {
  readonly pid: number;
  readonly parent: number;
  readonly title: string;
}

/**
 * The process, if it is a PostgreSQL that works in the folder, else null. The folder itself is compared: a path can mean
 * another one to a process in a container.
 */
function processIn(folder: Stats, pid: string): ClusterProcess | null {
  try {
    const cwd = statSync(join('/proc', pid, 'cwd'));
    if (cwd.ino !== folder.ino || cwd.dev !== folder.dev) return null;
    const title = readFileSync(join('/proc', pid, 'cmdline'), 'utf8').replaceAll('\0', ' ');
    if (!title.startsWith(CHILD_TITLE) && !/^\S*postgres /.test(title)) return null;
    const status = readFileSync(join('/proc', pid, 'status'), 'utf8');
    return { pid: Number(pid), parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]), title };
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
