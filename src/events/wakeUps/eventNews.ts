import { within } from '../../async/within.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import type { WakeUps } from './wakeUps.ts';

/**
 * Wakes a caller that waits for a fact in the database, so that it reads again after each relevant event. An event that
 * arrives between two calls of `next` is not missed.
 */
interface EventNews {
  /** Resolves once a relevant event has arrived since the last call (or the start), at the latest after `limitMs`. */
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

// Keeps a read model: rows that were read from the database, brought up to date by the events of the feed.
// Events also arrive during a read, and its rows may or may not contain them. So they are applied again after the read.
// Therefore `apply` must be idempotent: it compares positions or versions.

interface Followed {
  /** Applies an event of the feed. */
  apply(event: RecordedEvent): void;
  /**
   * Reads rows, lets `take` put them into the model, and applies the events that have arrived since the read began.
   * Several reads may run at the same time. If `read` fails, the model does not change, and the error is thrown.
   */
  read<Rows>(read: () => Promise<Rows>, take: (rows: Rows) => void): Promise<void>;
}

export function followFeed(apply: (event: RecordedEvent) => void): Followed {
  /** For each running read, the events that have arrived since it began. */
  const heard = new Set<RecordedEvent[]>();
  return {
    apply: (event) => {
      for (const events of heard) events.push(event);
      apply(event);
    },
    read: async (read, take) => {
      const meanwhile: RecordedEvent[] = [];
      heard.add(meanwhile);
      try {
        take(await read());
        for (const event of meanwhile) apply(event);
      } finally {
        heard.delete(meanwhile);
      }
    },
  };
}
