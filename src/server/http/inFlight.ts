/** The calls that a stopping server waits for. */
import { within } from '../../async/within.ts';

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

    async untilNone(timeoutMs, signal) {
      if (calls.size === 0 || signal?.aborted) return;
      let wake = () => {};
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
      await within(timeoutMs, woken, () => undefined);
      waiting.delete(wake);
      signal?.removeEventListener('abort', wake);
    },
  };
}
