/**
 * A worker's socket: its folder, and the address of the agent behind it. The folder is on the host, and is mounted only
 * into that worker.
 */

import { once } from 'node:events';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { pause } from '../../async/pause.ts';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { hasCode } from '../../domain/errors.ts';
import type { PoolId, WorkerId } from '../../domain/ids.ts';
import { diskError } from './engineCalls.ts';

/** The name of the socket that the agent creates in the folder. */
const SOCKET_NAME = 'agent.sock';

/** The dashes of the ids are left out, because a socket's path may have at most 107 bytes. @param root SOCKET_DIR */
export function socketFolder(
  root: string,
  { poolId, workerId }: { readonly poolId: PoolId; readonly workerId: WorkerId },
): string {
  return join(root, poolId.replaceAll('-', ''), workerId.replaceAll('-', ''));
}

export function socketIn(folder: string): string {
  return join(folder, SOCKET_NAME);
}

/**
 * Creates the folder. The pool's folder above it is closed to all other users of the host. The worker's folder is open
 * to all, because the gateway may lack the right to give it to the agent's uid.
 * @throws RuntimeError `disk-full`
 */
export async function makeSocketFolder(folder: string): Promise<void> {
  const poolFolder = dirname(folder);
  try {
    await mkdir(poolFolder, { recursive: true, mode: 0o700 });
    await chmod(poolFolder, 0o700);
    // Not recursive, because Node would then report a full disk as ENOENT.
    await mkdir(folder);
    await chmod(folder, 0o777);
  } catch (error: unknown) {
    throw diskError(error);
  }
}

/** Does nothing if the folder is gone already. */
export async function removeSocketFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** One attempt costs some 30 µs. So a start is noticed quickly even if hundreds of workers are awaited. */
const POLL_INTERVAL_MS = 10;

/** The address of an agent behind a Unix socket on this machine. @param path at most 107 bytes */
export function socketAddress(path: string): AgentAddress {
  return {
    open: (into) => connect(into ? { path, onread: into } : { path }),
    untilOpen: async (signal) => {
      while (!(await canConnect(path, signal))) await pause(POLL_INTERVAL_MS, signal);
    },
  };
}

/**
 * In this order: the socket does not exist yet; no process listens on it yet, or no longer does; its backlog is full.
 */
const NOT_YET = ['ENOENT', 'ECONNREFUSED', 'EAGAIN'];

async function canConnect(path: string, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  const socket = connect({ path });
  try {
    await once(socket, 'connect', { signal });
    return true;
  } catch (e: unknown) {
    signal.throwIfAborted();
    if (NOT_YET.some((code) => hasCode(e, code))) return false;
    throw e;
  } finally {
    socket.destroy();
  }
}
