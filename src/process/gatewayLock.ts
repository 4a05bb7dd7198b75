/**
 * Allows only one live gateway for each DATA_DIR. The lock is an flock(2) on a file in that folder. The operating
 * system gives it to one process at a time, even if several start at the same moment, and releases it however the
 * process ends. Node has no call for flock(2). But the lock belongs to the open file, which a child can share, so the
 * program `flock` locks our open file and exits.
 *
 * The gateway also listens on a Unix socket. Every process that connects gets the gateway's process id.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readlinkSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { hasCode } from '../domain/errors.ts';

/** Longest path of a Unix socket on Linux. */
const MAX_SOCKET_PATH_BYTES = 107;
const ANSWER_TIMEOUT_MS = 2_000;
/** The descriptor under which `flock` gets the file. */
const SHARED_FD = 3;
/** Exit code of `flock --nonblock` if another process has the lock. */
const IS_TAKEN = 1;

/** A gateway that is running. */
export interface LiveGateway {
  readonly pid: number;
  /**
   * Whether `pid` is valid in this process's PID namespace. False, for example, if only the gateway runs in a
   * container.
   */
  readonly isOfThisNamespace: boolean;
}

export interface GatewayLock {
  /** Idempotent. */
  release(): Promise<void>;
}

/** @throws Error that names the live gateway's process, if there is one */
export async function lockDataDir(dataDir: string): Promise<GatewayLock> {
  // Node opens files with close-on-exec. So a child that outlives the gateway (its PostgreSQL) does not keep the lock.
  const fd = openSync(join(dataDir, 'gateway.lock'), 'a', 0o600);
  try {
    const isLocked = await lockFile(fd);
    const live = await liveGateway(dataDir);
    if (!isLocked || live !== null) throw taken(dataDir, live);
    const server = await serveIdentity(lockPath(dataDir));
    let released: Promise<void> | null = null;
    return {
      release: () => {
        released ??= endServing(server).then(() => closeSync(fd));
        return released;
      },
    };
  } catch (error: unknown) {
    closeSync(fd);
    throw error;
  }
}

/** Returns false if another process has the lock. */
async function lockFile(fd: number): Promise<boolean> {
  const program = spawn('flock', ['--nonblock', String(SHARED_FD)], {
    stdio: ['ignore', 'ignore', 'inherit', fd],
  });
  const [code] = (await once(program, 'close').catch((cause: unknown) => {
    throw new Error('The program flock could not be run. Install the package util-linux.', {
      cause,
    });
  })) as [number | null];
  if (code === 0 || code === IS_TAKEN) return code === 0;
  throw new Error(`The program flock failed (exit code ${code}).`);
}

function taken(dataDir: string, live: LiveGateway | null): Error {
  const which = live === null ? 'it is just starting or stopping' : `process ${live.pid}`;
  return new Error(
    `The data directory ${dataDir} belongs to a gateway that is running (${which}). Stop that gateway, or set another DATA_DIR.`,
  );
}

/**
 * Listens on the socket at `path`. It first removes the socket that a killed gateway may have left. That is safe,
 * because this process holds the lock.
 */
async function serveIdentity(path: string): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(JSON.stringify({ pid: process.pid, pidNamespace: pidNamespace() }));
  });
  server.listen(path);
  await once(server, 'listening');
  server.unref();
  return server;
}

function endServing(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** The gateway that is running on this folder. Null if there is none. */
export async function liveGateway(dataDir: string): Promise<LiveGateway | null> {
  const socket = connect(lockPath(dataDir));
  try {
    await once(socket, 'connect');
    socket.setTimeout(ANSWER_TIMEOUT_MS, () =>
      socket.destroy(new Error('The live gateway does not answer.')),
    );
    const said = JSON.parse(await text(socket)) as { pid: number; pidNamespace: string };
    return { pid: said.pid, isOfThisNamespace: said.pidNamespace === pidNamespace() };
  } catch (error: unknown) {
    // ECONNRESET and SyntaxError mean that the gateway ended before it had answered.
    const isGone = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET'].some((code) => hasCode(error, code));
    if (isGone || error instanceof SyntaxError) return null;
    throw error;
  } finally {
    socket.destroy();
  }
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

function lockPath(dataDir: string): string {
  const path = join(dataDir, 'gateway.sock');
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 32);
  return join(tmpdir(), `cellhouse-${hash}.sock`);
}
