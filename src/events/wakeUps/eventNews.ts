import { within } from '../../async/within.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import type { WakeUps } from './wakeUps.ts';

/**
 * Tells a caller that waits for a fact when to look for it again. An event that comes between two calls of `next` is
 * not missed.
 */
interface EventNews {
  /** Resolves once a relevant event has come since the last call (or the start), at the latest after `limitMs`. */
  next(limitMs: number): Promise<void>;
  close(): void;
}

export function listenForNews(
  wakeUps: Pick<WakeUps, 'onEvent'>,
  concerns: (event: RecordedEvent) => boolean,
): EventNews {
  let hasNews = false;
  let wake = () => {};
  const off = wakeUps.onEvent((event) => {
    if (!concerns(event)) return;
    hasNews = true;
    wake();
  });
  return {
    next: async (limitMs) => {
      const news = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if (!hasNews) await within(limitMs, news, () => undefined);
      hasNews = false;
    },
    close: off,
  };
}
