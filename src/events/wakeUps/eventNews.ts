import { setTimeout as delay } from 'node:timers/promises';
import type { RecordedEvent } from '../../domain/events.ts';
import type { WakeUps } from './wakeUps.ts';

/** Says when to look again for an awaited fact. An event that comes between two calls of `next` is not missed. */
export interface EventNews {
  /** Resolves once a relevant event has come since the last call (or the start), at the latest after `limitMs`. */
  next(limitMs: number): Promise<void>;
  close(): void;
}

export function listenForNews(
  wakeUps: Pick<WakeUps, 'onEvent'>,
  concerns: (event: RecordedEvent) => boolean,
): EventNews {
  let hasNews = false;
  let wake = new AbortController();
  const off = wakeUps.onEvent((event) => {
    if (!concerns(event)) return;
    hasNews = true;
    wake.abort();
  });
  return {
    next: async (limitMs) => {
      wake = new AbortController();
      if (!hasNews) await delay(limitMs, undefined, { signal: wake.signal }).catch(() => undefined);
      hasNews = false;
    },
    close: off,
  };
}
