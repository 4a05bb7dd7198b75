import type { ServedDoor } from '../../domain/token.ts';

/** What has come to the doors since the start. */
export interface DoorCounts {
  /** An answer ended. */
  count(door: ServedDoor, status: number): void;
  readonly answers: Iterable<{
    readonly door: string;
    readonly status: number;
    readonly count: number;
  }>;
}

/** A door has few statuses, so this stays small whoever calls. */
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
