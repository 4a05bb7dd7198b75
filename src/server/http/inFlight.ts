/** The calls that a stopping server waits for. */

export interface InFlight {
  /** Counts a call; the function it gives back ends it, once. */
  begin(): () => void;
  readonly count: number;
  /** Resolves as soon as no call is in flight, at the latest after that time or when the signal is aborted. */
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
        // Not AbortSignal.any of an AbortSignal.timeout: Node 20 may collect the latter as garbage, and the limit never comes.
        const limit = setTimeout(wake, timeoutMs);
        waiting.add(wake);
        signal?.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
