/** How old what a gateway knows of tokens is. */

/**
 * Older than this, it may have missed that a token was revoked. There is a look each 250 ms (watchTokens.ts), so that
 * happens only while the database is slow or away, or when the process was stopped. Both and one piece of a download
 * take less than a second.
 */
export const STALE_MS = 600;

export interface Freshness {
  readonly isFresh: boolean;
  /** Null while it is fresh. Else resolves as soon as it is again. */
  wait(): Promise<void> | null;
  /** What is known is as of this time of the clock. */
  knownAsOf(at: number): void;
}

/** @param clock in ms. It goes on while the process is stopped. */
export function createFreshness(clock: () => number): Freshness {
  let asOf = Number.NEGATIVE_INFINITY;
  /** All that wait share it. */
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
