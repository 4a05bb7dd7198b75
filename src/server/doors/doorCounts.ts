import type { ServedDoor } from '../../domain/token.ts';

/** Counts the answers of the doors since the start, by door and status. */
export interface DoorCounts {
  /** Counts an answer that has ended. */
  count(door: ServedDoor, status: number): void;
  readonly answers: Iterable<{
    readonly door: string;
    readonly status: number;
    readonly count: number;
  }>;
}

/** A door answers with few different statuses, so the map stays small, whatever clients send. */
export function createDoorCounts(): DoorCounts {
  const counts = new Map<string, { door: ServedDoor; status: number; count: number }>();
  return {
    count: (door, status) => {
      const key = `${door} ${status}`;
      const known = counts.get(key) ?? { door, status, count: 0 };
      known.count += 1;
      counts.set(key, known);
    },
    get answers() {
      return counts.values();
    },
  };
}
