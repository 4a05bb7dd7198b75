/** Connects to one of the addresses that a target stands for. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type Address, addressText } from '../domain/egress/address.ts';
import type { Target } from '../domain/egress/target.ts';
import { failedToReach } from './egressRefusal.ts';

/** More addresses of one name are not tried. */
const MAX_ADDRESSES = 6;

/** Tries each address for its share of the time. IPv4 first: a machine without IPv6 may lose what it sends by it. */
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

/** The reason of a signal whose time to resolve and connect is over. */
export class ConnectTimeoutError extends Error {}

/** Why nothing more is tried. Null: it may be. */
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
  // Never a name: it would be resolved again.
  const socket = connect({ host: addressText(address), port, family, allowHalfOpen: true });
  socket.setNoDelay(true);
  const timer = setTimeout(() => socket.destroy(new ConnectTimeoutError()), limitMs);
  try {
    await once(socket, 'connect', { signal });
    // Whoever uses it hears of its end by `close`.
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
