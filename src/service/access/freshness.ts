/** The age of what a gateway knows about tokens. */

/**
 * Knowledge that is older than this is stale: a token may have been revoked meanwhile. A gateway reads changed tokens
 * every 250 ms (watchTokens.ts), so its knowledge becomes stale only while the database is slow or away, or after the
 * process was stopped. This time, that interval and one piece of a download together take less than a second.
 */
export const STALE_MS = 600;

export interface Freshness {
  readonly isFresh: boolean;
  /** Null while it is fresh. Else resolves as soon as it is again. */
  wait(): Promise<void> | null;
  /** Sets the time of the clock at which the knowledge was current. */
  knownAsOf(at: number): void;
}

/** @param clock in ms. It goes on while the process is stopped. */
export function createFreshness(clock: () => number): Freshness {
  let asOf = Number.NEGATIVE_INFINITY;
  /** All waiting callers share it. */
  let waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;
  const isFresh = () => clock() - asOf < STALE_MS;
  return {
    get isFresh() {
      return isFresh();
    },
    wait: () => {
      if (isFresh()) return null;
      waiting ??= later();
      return waiting.promise;
    },
    knownAsOf: (at) => {
      asOf = at;
      if (!isFresh()) return;
      waiting?.resolve();
      waiting = null;
    },
  };
}

function later() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
