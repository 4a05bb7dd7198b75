/** Connects to one of the addresses of a target. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Address, addressText, type Target } from '../domain/egress.ts';
import { failedToReach } from './egressRefusal.ts';

/** How many addresses of one name are tried. */
const MAX_ADDRESSES = 6;

/**
 * Tries each address for an equal share of the time. IPv4 addresses come first, because a machine without a working
 * IPv6 route may silently lose packets.
 */
export async function connectToOne(
  target: Target,
  addresses: readonly Address[],
  limitMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const tried = [...addresses].sort((a, b) => a.family - b.family).slice(0, MAX_ADDRESSES);
  let last: unknown;
  for (const address of tried) {
    try {
      return await connectTo(address, target.port, limitMs / tried.length, signal);
    } catch (error: unknown) {
      last = error;
    }
    if (signal.aborted) break;
  }
  const isLate = last instanceof ConnectTimeoutError;
  throw (
    reasonOf(signal, target) ?? failedToReach(target, isLate ? 'timed-out' : 'unreachable', last)
  );
}

/** The time to resolve the name and connect, or to connect to one address, is over. */
export class ConnectTimeoutError extends Error {}

/** The error if the signal was aborted, so that nothing more is tried. Null: it was not aborted. */
export function reasonOf({ aborted, reason }: AbortSignal, target: Target): unknown {
  if (!aborted) return null;
  return reason instanceof ConnectTimeoutError
    ? failedToReach(target, 'timed-out', reason)
    : reason;
}

async function connectTo(
  address: Address,
  port: number,
  limitMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  const { family } = address;
  // Always an address, never a name. A name would be resolved again, perhaps to an address that is not allowed.
  const socket = connect({ host: addressText(address), port, family, allowHalfOpen: true });
  socket.setNoDelay(true);
  const timer = setTimeout(() => socket.destroy(new ConnectTimeoutError()), limitMs);
  try {
    await once(socket, 'connect', { signal });
    // The user of the socket learns of a failure from `close`.
    socket.on('error', () => undefined);
    return socket;
  } catch (error: unknown) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
