/** The calls that a stopping server waits for. */

export interface InFlight {
  /** Counts a call; the function it gives back ends it, once. */
  begin(): () => void;
  readonly count: number;
  /** Resolves as soon as no call is in flight, at the latest when the signal is aborted. */
  untilNone(signal: AbortSignal): Promise<void>;
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

    untilNone(signal) {
      if (calls.size === 0 || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
