/**
 * Keeps a read model: what was read from the database, brought up to date by the events that are heard.
 *
 * While something is read, events go on. One that was heard meanwhile may or may not be contained in what was read. So
 * it is applied again afterwards, and `apply` must be repeatable: it compares positions or versions.
 */
import type { RecordedEvent } from '../domain/events.ts';

export interface Followed {
  /** Takes in an event that was heard. */
  apply(event: RecordedEvent): void;
  /**
   * Reads something, lets `take` put it into the model, and applies what was heard since the read began. Several reads
   * may be under way. A failure of `read` changes nothing, and is thrown.
   */
  read<Rows>(read: () => Promise<Rows>, take: (rows: Rows) => void): Promise<void>;
}

export function followFeed(apply: (event: RecordedEvent) => void): Followed {
  /** For each read under way, what was heard since it began. */
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
