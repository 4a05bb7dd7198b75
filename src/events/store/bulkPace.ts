/**
 * Makes those who print without end wait for each other, not others for them: a database and a gateway that store as fast as ten
 * kernels print have no CPU left for a `1+1`, whose commits would wait behind megabytes (docs/decisions/0016-floods-make-way.md).
 *
 * Large commits pause after each other while more of them wait and somebody commits something small. With nobody else about,
 * or just one who prints, they go as fast as they can.
 */

/** Requests, starts and ends of runs, and lines now and then, are smaller; a batch of a flood is four times as much. */
const SMALL_BYTES = 16 * 1024;
/** After a large commit: so many times as long as it took, so that they take an eighth of the time together. */
const PAUSES_PER_COMMIT = 7;
/** However long one took. */
const MAX_PAUSE_MS = 100;
/** Whoever calls again and again waits for his own code in between. */
const RECENT_MS = 250;

export interface BulkPace {
  /** In milliseconds, 0 or less if large commits may go now. */
  pauseMs(): number;
  /** A group was committed, in `tookMs`, and `left` wait. */
  committed(group: readonly Sized[], left: readonly Sized[], tookMs: number): void;
}

interface Sized {
  /** Roughly what it sends. */
  readonly bytes: number;
}

/** Whether a commit may pause. */
export function isBulk({ bytes }: Sized): boolean {
  return bytes > SMALL_BYTES;
}

export function createBulkPace(): BulkPace {
  let resumesAt = Number.NEGATIVE_INFINITY;
  let smallAt = Number.NEGATIVE_INFINITY;
  return {
    pauseMs: () => resumesAt - performance.now(),
    committed: (group, left, tookMs) => {
      const now = performance.now();
      if (!group.every(isBulk)) smallAt = now;
      if (now - smallAt <= RECENT_MS && group.some(isBulk) && left.some(isBulk))
        resumesAt = now + Math.min(MAX_PAUSE_MS, PAUSES_PER_COMMIT * tookMs);
    },
  };
}
