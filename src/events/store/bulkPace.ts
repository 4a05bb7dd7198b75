/**
 * Makes those who print without end wait for each other, not others for them: a database and a gateway that store as fast as ten
 * kernels print have no CPU left for a `1+1`, whose commits would wait behind megabytes (docs/decisions/0016-floods-make-way.md).
 *
 * A worker that has stored more than a burst is a flood until it has stored little for some seconds. Floods pause
 * after each other while more of them wait and somebody else commits something. With nobody else about, or just one who
 * prints, they go as fast as they can; and so does everybody else: figures, long answers, large code.
 */
import type { WorkerId } from '../../domain/ids.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** Some figures, a long table. */
const BURST_BYTES = 512 * 1024;
/** Of what a worker stored, so much is forgiven in a second: less than each of many floods stores while they pause for each other. */
const FORGIVEN_BYTES_PER_SECOND = 64 * 1024;
/** What is beyond is forgotten, so that a flood is none 8 seconds after its end. */
const MAX_EXCESS_BYTES = 2 * BURST_BYTES;
/** After a flood's commit: so many times as long as it took, so that floods take an eighth of the time together. */
const PAUSES_PER_COMMIT = 7;
/** However long one took. */
const MAX_PAUSE_MS = 100;
/** Whoever calls again and again waits for his own code in between. */
const RECENT_MS = 250;
/** Workers that are remembered before those who have nothing to be forgiven are dropped. */
const MAX_REMEMBERED = 1_000;

export interface BulkPace {
  isFlood(commit: PreparedCommit): boolean;
  /** In milliseconds; 0 or less: floods may go now. */
  pauseMs(): number;
  /** A group was committed, in `tookMs`, and `left` wait. */
  committed(
    group: readonly PreparedCommit[],
    left: readonly PreparedCommit[],
    tookMs: number,
  ): void;
}

export function createBulkPace(): BulkPace {
  /** What each worker has stored and was not forgiven at that time. */
  const excess = new Map<WorkerId, { readonly bytes: number; readonly at: number }>();
  let resumesAt = Number.NEGATIVE_INFINITY;
  let othersAt = Number.NEGATIVE_INFINITY;

  function excessOf(workerId: WorkerId): number {
    const { bytes, at } = excess.get(workerId) ?? { bytes: 0, at: 0 };
    return Math.max(0, bytes - ((performance.now() - at) / 1_000) * FORGIVEN_BYTES_PER_SECOND);
  }

  function isFlood({ commit: { cursor } }: PreparedCommit): boolean {
    return cursor !== undefined && excessOf(cursor.workerId) > BURST_BYTES;
  }

  function count({ commit: { cursor }, bytes }: PreparedCommit): void {
    if (!cursor) return;
    excess.set(cursor.workerId, {
      bytes: Math.min(MAX_EXCESS_BYTES, excessOf(cursor.workerId) + bytes),
      at: performance.now(),
    });
    if (excess.size > MAX_REMEMBERED)
      for (const id of excess.keys()) if (excessOf(id) === 0) excess.delete(id);
  }

  return {
    isFlood,
    pauseMs: () => resumesAt - performance.now(),
    committed: (group, left, tookMs) => {
      const now = performance.now();
      const hadFlood = group.some(isFlood);
      if (!group.every(isFlood)) othersAt = now;
      for (const commit of group) count(commit);
      if (hadFlood && left.some(isFlood) && now - othersAt <= RECENT_MS)
        resumesAt = now + Math.min(MAX_PAUSE_MS, PAUSES_PER_COMMIT * tookMs);
    },
  };
}
