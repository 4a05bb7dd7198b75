/** The pauses after failures, one for each of several kinds of work. */
import { backOffMs } from '../../async/backOffMs.ts';

const BACK_OFF = { firstMs: 500, maxMs: 30_000 };

export interface BackOffs<Kind> {
  /** The kinds that are paused now. */
  readonly on: ReadonlySet<Kind>;
  /** How many pauses of this kind there were in a row. */
  failures(kind: Kind): number;
  /** Begins a pause. It doubles with each failure in a row. Failures during a pause do not count again. */
  begin(kind: Kind): void;
  /** The next failure of this kind counts as the first one. */
  reset(kind: Kind): void;
  /** Ends all pauses, and forgets all failures. */
  end(): void;
}

/** @param onOver called when a pause has run its full time */
export function createBackOffs<Kind>(random: () => number, onOver: () => void): BackOffs<Kind> {
  const failures = new Map<Kind, number>();
  const timers = new Map<Kind, NodeJS.Timeout>();
  return {
    get on() {
      return new Set(timers.keys());
    },
    failures: (kind) => failures.get(kind) ?? 0,
    begin: (kind) => {
      if (timers.has(kind)) return;
      const count = failures.get(kind) ?? 0;
      failures.set(kind, count + 1);
      const timer = setTimeout(
        () => {
          timers.delete(kind);
          onOver();
        },
        backOffMs(BACK_OFF, count, random),
      );
      timers.set(kind, timer);
    },
    reset: (kind) => void failures.delete(kind),
    end: () => {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
      failures.clear();
    },
  };
}
