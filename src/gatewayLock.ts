/**
 * One live gateway for each DATA_DIR. The lock is a Unix socket that the gateway listens on: it dies with its process, so
 * there is no stale one, only a stale file. Whoever connects is told which process it is.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readlinkSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { hasCode } from './errors.ts';

/** Longest path of a Unix socket on Linux. */
const MAX_SOCKET_PATH_BYTES = 107;
const ANSWER_TIMEOUT_MS = 2_000;

/** A gateway that lives. */
export interface LiveGateway {
  readonly pid: number;
  /** Its `pid` means that process here; false for one in a container (seen from outside it, or the other way round). */
  readonly isOfThisNamespace: boolean;
}

export interface GatewayLock {
  release(): Promise<void>;
}

/** @throws Error that names the live gateway's process, if there is one */
export async function lockDataDir(dataDir: string): Promise<GatewayLock> {
  const path = lockPath(dataDir);
  const live = await liveGateway(dataDir);
  if (live !== null) {
    throw new Error(
      `The data directory ${dataDir} belongs to a gateway that is running (process ${live.pid}). Stop that one, or set another DATA_DIR.`,
    );
  }
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(JSON.stringify({ pid: process.pid, pidNamespace: pidNamespace() }));
  });
  server.listen(path);
  await once(server, 'listening');
  server.unref();
  return {
    release: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

/** The gateway that runs on this folder; null if none does. */
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
    // The last two: it ended before it had answered.
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
