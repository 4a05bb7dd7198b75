import type { Logger } from 'pino';
import type { RecordedEvent } from '../../domain/events.ts';
import type { KnownEvents } from '../store/readEvents.ts';

/** Catching up goes on until there is no more. */
const PAGE_EVENTS = 200;

export interface EventFeedDeps {
  readonly logger: Logger;
  readonly readAfter: (position: number, limit: number) => Promise<KnownEvents>;
  /** The highest position that a notification told of: the sure end of catching up. */
  readonly heard: () => number;
}

/** Tells each event once, in the order of positions, from wherever it comes. */
export interface EventFeed {
  /** What has been told. */
  readonly position: number;
  onEvent(listener: (event: RecordedEvent) => void): () => void;
  /** Events that this process has committed, in order: told at once if nothing is missing before them. */
  committed(events: readonly RecordedEvent[]): void;
  /** One reader at a time; whoever asks meanwhile makes it look once more. Resolves when all there is has been told. */
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
          logger.error({ err: error, position }, 'A listener for events failed');
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
        // A page may be short and yet not the last; what was notified is a sure end.
        isBehind ||= page.position > from && position !== heard();
      }
    } catch (error: unknown) {
      // The poll asks again.
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
