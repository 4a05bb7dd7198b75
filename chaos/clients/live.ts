/** The life of a user: one action after the other until it is stopped. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../random.ts';

const THINK_MEAN_MS = 150;

export interface Life {
  readonly isOver: boolean;
  /** Resolves when the last action is done. */
  stop(): Promise<void>;
}

/** Begins immediately. A failure of an action is reported by {@link Life.stop}. */
export function live(
  { random, signal }: { readonly random: Random; readonly signal: AbortSignal },
  act: () => Promise<unknown>,
): Life {
  const stopping = new AbortController();
  const untilStopped = async () => {
    while (!stopping.signal.aborted) {
      await act();
      const pause = { signal: AbortSignal.any([signal, stopping.signal]) };
      await delay(random.waitMs(THINK_MEAN_MS), undefined, pause).catch(() => undefined);
    }
  };
  const living = untilStopped();
  living.catch(() => undefined);
  return {
    get isOver() {
      return stopping.signal.aborted;
    },
    stop: async () => {
      stopping.abort();
      await living;
    },
  };
}
