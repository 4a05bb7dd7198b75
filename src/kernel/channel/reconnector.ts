/** Delay before the first attempt after a loss. The usual cause is over quickly, and code may be waiting. */
const FIRST_RETRY_MS = 20;
/** The delay doubles up to this, so a worker that comes back is reached within a second. */
const MAX_RETRY_MS = 1_000;
/** A connection that has lasted this long counts as good: the next loss starts again with the short delay. */
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
      const delayMs = Math.min(FIRST_RETRY_MS * 2 ** attempts, MAX_RETRY_MS);
      attempts += 1;
      retryTimer = setTimeout(deps.connect, delayMs * (0.5 + deps.random() / 2));
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
