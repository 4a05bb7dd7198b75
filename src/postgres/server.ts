import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { pollUntil } from '../async/pollUntil.ts';
import { hasCode } from '../domain/errors.ts';
import {
  asServerUser,
  type Binaries,
  type Layout,
  lastLines,
  PORT,
  readIfThere,
  type ServerUser,
  socketOf,
} from './cluster.ts';

/** The processes of one cluster's server. All of them have the data folder as their working directory. */
interface ClusterProcesses {
  /** The main process, which started the others. Null if it is gone. */
  readonly postmaster: number | null;
  /** Processes that survived their postmaster. They notice its death only when they next wait. */
  readonly survivors: readonly number[];
}

/**
 * Children rename themselves to `postgres: <what they do>`, but only a moment after the fork. Until then they have the
 * postmaster's command line, and differ from it only in their parent.
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

/** The content of the pid file (PostgreSQL's `miscadmin.h`, LOCK_FILE_LINE_*). */
export interface ServerStatus {
  readonly pid: number;
  readonly port: number;
  readonly socketDir: string;
  readonly isReady: boolean;
}

/** Reads the pid file. Null if there is no pid file, or not all of it is written yet. The server may be dead. */
export function readStatus(layout: Layout): ServerStatus | null {
  const lines = readIfThere(join(layout.data, 'postmaster.pid'))?.split('\n') ?? [];
  const [pid, , , port, socketDir, , , status] = lines;
  if (!pid || !port || !socketDir) return null;
  return {
    pid: Number(pid),
    port: Number(port),
    socketDir,
    isReady: status?.trim() === 'ready',
  };
}

/** Recovery replays up to 1 GB of log (`max_wal_size`), which can take a minute on a slow disk. */
const START_TIMEOUT_MS = 120_000;
/**
 * A fast shutdown writes a checkpoint, which takes well under a second here. If it hangs (seen once, right after a
 * start), the server gets an immediate shutdown, and the next start recovers.
 */
const STOP_TIMEOUT_MS = 10_000;
/** A killed process is gone immediately, unless it waits for a disk that does not answer. */
const KILL_TIMEOUT_MS = 10_000;
/** How often the server's pid file is read. The server reports its state in no other way. */
const POLL_INTERVAL_MS = 20;
/** If the log is larger when a server starts, a new log begins. One old log is kept. */
const MAX_LOG_BYTES = 10 * 1024 * 1024;

/**
 * Starts the server in its own process session, so that signals to the gateway or its process group do not reach it.
 * Resolves when the server accepts connections, after any recovery. If another process starts the server at the same
 * time, this waits for that server.
 */
export async function startServer(
  layout: Layout,
  binaries: Binaries,
  user: ServerUser,
  maxConnections: number,
): Promise<ServerStatus> {
  await clearRemains(layout);
  prepareSocketDir(layout.socketDir, user);
  const child = spawnServer(layout, binaries, user, maxConnections);
  const end = watchForEnd(child);
  child.unref();
  const status = await waitUntilReady(layout, () => end.reason);
  if (status === null) throw serverError(layout, `did not start (${end.reason})`);
  return status;
}

/**
 * Waits until the starting or running server accepts connections. Resolves with null if the server has failed or was
 * stopped. While there is no server, each poll calls `isOver`, which is truthy once no server can appear any more.
 */
export async function waitUntilReady(
  layout: Layout,
  isOver: () => unknown = () => true,
): Promise<ServerStatus | null> {
  const poll = (): { readonly status: ServerStatus | null } | null => {
    const status = readStatus(layout);
    const { postmaster } = findClusterProcesses(layout.data);
    if (status?.isReady && status.pid === postmaster) return { status };
    return postmaster === null && isOver() ? { status: null } : null;
  };
  const found = await pollUntil({ everyMs: POLL_INTERVAL_MS, limitMs: START_TIMEOUT_MS }, poll);
  if (found === null) throw serverError(layout, `was not ready after ${START_TIMEOUT_MS} ms`);
  return found.status;
}

/** Stops the server and resolves when it is gone. False if none was running. Clients are disconnected. */
export async function stopServer(layout: Layout): Promise<boolean> {
  const { postmaster } = findClusterProcesses(layout.data);
  if (postmaster === null) {
    await clearRemains(layout);
    return false;
  }
  signal(postmaster, 'SIGINT');
  if (await isGoneWithin(layout, STOP_TIMEOUT_MS)) return true;
  signal(postmaster, 'SIGQUIT');
  if (await isGoneWithin(layout, KILL_TIMEOUT_MS)) return true;
  throw serverError(layout, `does not stop (process ${postmaster})`);
}

async function isGoneWithin(layout: Layout, timeoutMs: number): Promise<boolean> {
  const isGone = await pollUntil({ everyMs: POLL_INTERVAL_MS, limitMs: timeoutMs }, () => {
    const { postmaster, survivors } = findClusterProcesses(layout.data);
    return postmaster === null && survivors.length === 0;
  });
  return isGone !== null;
}

/**
 * Removes what a killed server has left behind and what would prevent the next start. Surviving processes still hold
 * the killed server's shared memory. The pid file and the lock of the socket contain a process id that another process
 * may have by now.
 */
async function clearRemains(layout: Layout): Promise<void> {
  const { survivors } = findClusterProcesses(layout.data);
  for (const survivor of survivors) signal(survivor, 'SIGKILL');
  if (survivors.length > 0 && !(await isGoneWithin(layout, KILL_TIMEOUT_MS))) {
    throw serverError(layout, `left processes that do not end: ${survivors.join(', ')}`);
  }
  if (findClusterProcesses(layout.data).postmaster === null) {
    rmSync(join(layout.data, 'postmaster.pid'), { force: true });
    rmSync(socketOf(layout), { force: true });
    rmSync(`${socketOf(layout)}.lock`, { force: true });
  }
}

/**
 * Whoever owns this folder can replace the socket. So a folder that belongs to another user is refused, and so is a
 * link.
 */
function prepareSocketDir(path: string, user: ServerUser): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const uid = user?.uid ?? process.getuid?.();
  const found = lstatSync(path);
  if (!found.isDirectory()) throw new Error(`${path} is not a folder. Remove it.`);
  if (found.uid !== uid && found.uid !== process.getuid?.()) {
    throw new Error(`${path} belongs to another user (uid ${found.uid}). Remove it.`);
  }
  if (user !== null) chownSync(path, user.uid, user.gid);
  chmodSync(path, 0o700);
}

function spawnServer(
  layout: Layout,
  binaries: Binaries,
  user: ServerUser,
  maxConnections: number,
): ChildProcess {
  const settings = Object.entries(settingsFor(layout, maxConnections)).map(
    ([name, value]) => `--${name}=${value}`,
  );
  const argv = asServerUser(user, [binaries.postgres, '-D', layout.data, ...settings], layout.data);
  const log = openLog(layout.log);
  try {
    const [command = '', ...args] = argv;
    return spawn(command, args, { cwd: '/', detached: true, stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
}

/** All other settings keep PostgreSQL's defaults, above all `fsync`, `synchronous_commit` and those of the WAL. */
function settingsFor(layout: Layout, maxConnections: number): Record<string, string> {
  return {
    port: String(PORT),
    listen_addresses: '',
    unix_socket_directories: `"${layout.socketDir.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    max_connections: `${maxConnections}`,
    shared_buffers: '128MB',
    // The gateway logs failed statements. In the server's log they would reveal users' data.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_checkpoints: 'off',
  };
}

function openLog(path: string): number {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) {
    renameSync(path, `${path}.old`);
  }
  return openSync(path, 'a', 0o600);
}

function watchForEnd(child: ChildProcess): { reason: string | null } {
  const end: { reason: string | null } = { reason: null };
  child.on('error', (e) => {
    end.reason = e.message;
  });
  child.on('exit', (code, killed) => {
    end.reason = `exit code ${code ?? killed}`;
  });
  return end;
}

function serverError(layout: Layout, what: string): Error {
  const log = lastLines((readIfThere(layout.log) ?? '').trimEnd());
  return new Error(`The embedded PostgreSQL ${what}. The end of ${layout.log}:\n${log}`);
}
