/** Counts the calls that a stopping server must wait for. */

export interface InFlight {
  /** Counts a call. The returned function ends it; repeated calls do nothing. */
  begin(): () => void;
  readonly count: number;
  /** Resolves as soon as no call is in flight, but at the latest after `timeoutMs` or when `signal` is aborted. */
  untilNone(timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

export function createInFlight(): InFlight {
  const calls = new Set<symbol>();
  const waiting = new Set<() => void>();

  return {
    begin() {
      const call = Symbol('call');
      calls.add(call);
      return () => {
        if (!calls.delete(call) || calls.size > 0) return;
        for (const wake of waiting) wake();
      };
    },

    get count() {
      return calls.size;
    },

    untilNone(timeoutMs, signal) {
      if (calls.size === 0 || signal?.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          clearTimeout(limit);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        // Not AbortSignal.any with an AbortSignal.timeout: Node 20 may garbage-collect it, and then it never fires.
        const limit = setTimeout(wake, timeoutMs);
        waiting.add(wake);
        signal?.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
