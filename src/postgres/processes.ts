import { existsSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../domain/errors.ts';

/** The processes of one cluster's server. All of them have the data folder as their working directory. */
export interface ClusterProcesses {
  /** The main process, which started the others. Null if it is gone. */
  readonly postmaster: number | null;
  /** Processes that survived their postmaster. They notice its death only when they next wait. */
  readonly survivors: readonly number[];
}

/**
 * Children rename themselves to `postgres: <what they do>`, but only a moment after the fork. Until then they have the
 * postmaster's command line, and only their parent process distinguishes them.
 */
const CHILD_TITLE = 'postgres: ';

/**
 * Searches /proc. A pid file is not enough: the pid in it may belong to another process by now, and the file lists no
 * survivors.
 */
export function findClusterProcesses(dataDir: string): ClusterProcesses {
  const folder = statSync(dataDir);
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processIn(folder, name) ?? []);
  const isChild = ({ title, parent }: ClusterProcess) =>
    title.startsWith(CHILD_TITLE) || found.some(({ pid }) => pid === parent);
  const postmaster = found.find((each) => !isChild(each))?.pid ?? null;
  return { postmaster, survivors: postmaster === null ? found.map(({ pid }) => pid) : [] };
}

interface ClusterProcess {
  readonly pid: number;
  readonly parent: number;
  readonly title: string;
}

/**
 * The process if it is a PostgreSQL that works in the folder, else null. Folders are compared by inode and device,
 * because the same path can be another folder for a process in a container.
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
    // The process has ended meanwhile or belongs to another user, so it is not ours.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].some((code) => hasCode(e, code))) return null;
    throw e;
  }
}

/** Whether a process with this id exists. A zombie does not count, because it has no working directory any more. */
export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/cwd`);
}

/** Signals a process. Returns false if there is none. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (e: unknown) {
    if (hasCode(e, 'ESRCH')) return false;
    throw e;
  }
}
