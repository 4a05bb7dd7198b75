import { backOffMs } from '../../async/backOffMs.ts';

/**
 * Most outages are over immediately, and code may be waiting, so the first pause is short. A worker that comes back
 * after a long outage is reached within a second.
 */
const BACK_OFF = { firstMs: 20, maxMs: 1_000 };
/** After a connection that lasted this long, the next loss starts with the short delay again. */
const STABLE_AFTER_MS = 1_000;

export interface Reconnector {
  /** A connection failed or ended; the next attempt follows after a delay. */
  lost(error: Error): void;
  /** A connection is open. It counts as good after {@link STABLE_AFTER_MS}. */
  opened(): void;
  /** The connection has delivered something new, so it counts as good immediately. */
  proved(): void;
  close(): void;
}

/**
 * Decides when to reconnect (exponential back-off with jitter), and when to report the worker as unreachable. A peer
 * that accepts connections and drops them immediately counts as unreachable too. The first outage begins at creation.
 */
export function createReconnector(deps: {
  readonly connect: () => void;
  readonly random: () => number;
  readonly unreachableAfterMs: number;
  readonly onUnreachable: (error: Error) => void;
}): Reconnector {
  let attempts = 0;
  let lastError = new Error('The worker has not answered yet.');
  let retryTimer: NodeJS.Timeout | undefined;
  let stableTimer: NodeJS.Timeout | undefined;
  let outageTimer: NodeJS.Timeout | null = null;

  const startOutage = (): void => {
    outageTimer ??= setTimeout(() => deps.onUnreachable(lastError), deps.unreachableAfterMs);
  };
  const proved = (): void => {
    if (outageTimer === null) return;
    clearTimeout(outageTimer);
    outageTimer = null;
    attempts = 0;
  };

  startOutage();
  return {
    lost: (error) => {
      lastError = error;
      clearTimeout(stableTimer);
      startOutage();
      retryTimer = setTimeout(deps.connect, backOffMs(BACK_OFF, attempts, deps.random));
      attempts += 1;
    },
    opened: () => {
      stableTimer = setTimeout(proved, STABLE_AFTER_MS);
    },
    proved,
    close: () => {
      clearTimeout(retryTimer);
      clearTimeout(stableTimer);
      if (outageTimer !== null) clearTimeout(outageTimer);
    },
  };
}
