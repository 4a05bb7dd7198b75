import { once } from 'node:events';
import { connect } from 'node:net';
import { pause } from '../../async/pause.ts';
import type { AgentAddress } from '../../domain/agentAddress.ts';
import { hasCode } from '../../domain/errors.ts';

/** A look costs some 30 µs, so a worker's start is noticed at once and hundreds may be awaited. */
const LOOK_INTERVAL_MS = 10;

/** An agent behind a Unix socket of this machine. @param path at most 107 bytes */
export function socketAddress(path: string): AgentAddress {
  return {
    open: () => connect({ path }),
    untilOpen: async (signal) => {
      while (!(await canConnect(path, signal))) await pause(LOOK_INTERVAL_MS, signal);
    },
  };
}

/** Not there yet; there but nobody listens yet (or any more); its backlog is full. */
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
