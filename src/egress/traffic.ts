/** Follows the open connections of this gateway: counts their bytes, and ends those that are idle. */
import type { Socket } from 'node:net';
import type { EgressKey, EgressOutcome, EgressTotals } from '../domain/egress.ts';
import type { EgressLog } from './egressLog.ts';

/**
 * The idle limit of a connection whose code has closed its half. The code may be gone, and that shows only when the
 * host sends something. So if the host sends nothing, the connection ends sooner than others.
 */
const HALF_CLOSED_TIMEOUT_MS = 30_000;

export interface Traffic {
  readonly totals: EgressTotals;
  /** See {@link EgressLog.begin}. */
  begin(key: EgressKey, signal: AbortSignal): Promise<void>;
  refused(key: EgressKey): void;
  /** Counts the socket's bytes until it closes. */
  follow(key: EgressKey, socket: Socket): void;
  /** Counts the bytes since the last call, and ends connections that were idle for too long. */
  look(): void;
}

export interface TrafficDeps {
  readonly log: EgressLog;
  readonly idleTimeoutMs: number;
  /** A monotonic clock, in milliseconds. */
  readonly clock: () => number;
}

interface Followed {
  readonly key: EgressKey;
  readonly socket: Socket;
  sent: number;
  received: number;
  movedAt: number;
}

export function createTraffic({ log, idleTimeoutMs, clock }: TrafficDeps): Traffic {
  const followed = new Set<Followed>();
  const outcomes = new Map<EgressOutcome, number>();
  let [sentBytes, receivedBytes] = [0, 0];

  const count = (outcome: EgressOutcome) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);

  const limitOf = ({ socket }: Followed) =>
    socket.writableEnded ? Math.min(idleTimeoutMs, HALF_CLOSED_TIMEOUT_MS) : idleTimeoutMs;

  /** Counts the new bytes of one connection. @returns whether there were any */
  function add(each: Followed): boolean {
    const sent = each.socket.bytesWritten - each.sent;
    const received = each.socket.bytesRead - each.received;
    if (sent === 0 && received === 0) return false;
    each.sent += sent;
    each.received += received;
    sentBytes += sent;
    receivedBytes += received;
    log.addBytes(each.key, sent, received);
    return true;
  }

  return {
    get totals() {
      return { outcomes, sentBytes, receivedBytes, open: followed.size };
    },
    begin: async (key, signal) => {
      await log.begin(key, signal);
      count(key.outcome);
    },
    refused: (key) => {
      count(key.outcome);
      log.refused(key);
    },
    follow: (key, socket) => {
      const each = { key, socket, sent: 0, received: 0, movedAt: clock() };
      followed.add(each);
      socket.once('close', () => {
        add(each);
        followed.delete(each);
      });
    },
    look: () => {
      const at = clock();
      for (const each of followed) {
        if (add(each)) each.movedAt = at;
        else if (at - each.movedAt >= limitOf(each)) each.socket.destroy();
      }
    },
  };
}
