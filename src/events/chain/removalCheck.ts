/** Checks that each removal has deleted or emptied exactly what its event says. */
import { createRemovalDigest } from './leaf.ts';
import type { EventRemoval } from './readChain.ts';

export interface RemovalCheck {
  /** Counts the removals of a page of events, in order. Returns them by their positions. */
  take(removals: readonly EventRemoval[]): ReadonlyMap<number, readonly EventRemoval[]>;
  /** Notes what an event HistoryPruned or DataForgotten says. `data` is its data as JSON. */
  learn(data: string): void;
  /** Compares what was counted with what the events say. Call this after the last event. */
  end(): void;
}

export function createRemovalCheck(add: (finding: string) => void): RemovalCheck {
  const found = new Map<string, ReturnType<typeof countedDigest>>();
  const recorded = new Map<string, { readonly events: number; readonly digest: string }>();

  function count(removal: EventRemoval): void {
    const counted = found.get(removal.removalId) ?? countedDigest();
    found.set(removal.removalId, counted);
    counted.add(removal);
  }

  return {
    take: (removals) => {
      const byPosition = new Map<number, EventRemoval[]>();
      for (const removal of removals) {
        count(removal);
        const { position } = removal;
        byPosition.set(position, [...(byPosition.get(position) ?? []), removal]);
      }
      return byPosition;
    },
    learn: (data) => {
      const { removalId, events, digest } = JSON.parse(data) as Recorded;
      recorded.set(removalId, { events, digest });
    },
    end: () => {
      for (const id of found.keys())
        if (!recorded.has(id)) add(`The removal ${id} was forged: no event says so.`);
      for (const [id, { events, digest }] of recorded) {
        const { events: rows, digest: made } = found.get(id)?.end() ?? countedDigest().end();
        if (rows !== events || made !== digest)
          add(
            `The removal ${id} has deleted or emptied ${events} events, but ${rows} are noted for it, or others.`,
          );
      }
    },
  };
}

interface Recorded {
  readonly removalId: string;
  readonly events: number;
  readonly digest: string;
}

function countedDigest() {
  const digest = createRemovalDigest();
  let events = 0;
  return {
    add: ({ position, leaf }: EventRemoval) => {
      events += 1;
      digest.add(position, leaf);
    },
    end: () => ({ events, digest: digest.end() }),
  };
}
