import { once } from 'node:events';
import { connect } from 'node:net';
import { pause } from '../../async/pause.ts';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { hasCode } from '../../domain/errors.ts';

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
