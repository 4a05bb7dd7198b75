import type { Logger } from 'pino';
import type { RecordedEvent } from '../../domain/events.ts';
import type { KnownEvents } from '../store/readEvents.ts';

/** Events in one read. Catching up reads page after page until no event is left. */
const PAGE_EVENTS = 200;

export interface EventFeedDeps {
  readonly logger: Logger;
  readonly readAfter: (position: number, limit: number) => Promise<KnownEvents>;
  /** The highest position in any notification so far. Catching up may stop there without another read. */
  readonly heard: () => number;
}

/** Passes each event to its listeners once and in the order of positions, whichever way the event arrives. */
export interface EventFeed {
  /** Position of the last event that was passed on. */
  readonly position: number;
  onEvent(listener: (event: RecordedEvent) => void): () => void;
  /**
   * Takes events that this process has committed, in order. They are passed on immediately if no event is missing
   * before them.
   */
  committed(events: readonly RecordedEvent[]): void;
  /**
   * Reads what is missing. Resolves when all events have been passed on. Only one read runs at a time: a call during a
   * read makes it look once more.
   */
  catchUp(): Promise<void>;
  startAt(position: number): void;
  close(): Promise<void>;
}

export function createEventFeed({ logger, readAfter, heard }: EventFeedDeps): EventFeed {
  const listeners = new Set<(event: RecordedEvent) => void>();
  let position = 0;
  let catchingUp: Promise<void> | null = null;
  let isBehind = false;
  let isClosed = false;

  function tell(events: readonly RecordedEvent[]): void {
    for (const event of events) {
      if (event.position <= position) continue;
      position = event.position;
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error: unknown) {
          logger.error({ err: error, position }, 'A listener failed on an event');
        }
      }
    }
  }

  function catchUp(): Promise<void> {
    isBehind = true;
    catchingUp ??= readOn().finally(() => {
      catchingUp = null;
    });
    return catchingUp;
  }

  async function readOn(): Promise<void> {
    try {
      while (isBehind && !isClosed) {
        isBehind = false;
        const from = position;
        const page = await readAfter(from, PAGE_EVENTS);
        tell(page.events);
        position = Math.max(position, page.position);
        // A page may be short although more follow. Only an empty page or the notified position is a sure end.
        isBehind ||= page.position > from && position !== heard();
      }
    } catch (error: unknown) {
      // The next poll starts another attempt.
      logger.warn({ err: error, position }, 'Events could not be read; trying again');
    }
  }

  return {
    get position() {
      return position;
    },
    onEvent: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    committed: (events) => {
      const [first] = events;
      if (first === undefined || first.position <= position) return;
      if (first.position === position + 1) tell(events);
      else void catchUp();
    },
    catchUp,
    startAt: (start) => {
      position = start;
    },
    close: async () => {
      isClosed = true;
      listeners.clear();
      await catchingUp;
    },
  };
}
