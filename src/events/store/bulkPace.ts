/**
 * Slows down workers that print without end, so that they wait for each other and nobody else waits for them. Without
 * this, storing the output of ten such kernels takes all CPU time of the database and the gateway, and the commits of a
 * `1+1` wait behind megabytes (docs/decisions/0016-floods-make-way.md).
 *
 * A worker that has stored more than {@link BURST_BYTES} counts as a flood until it has stored little for some seconds.
 * After a flood's commit, all floods pause if another flood waits and somebody else has committed recently. One flood
 * alone does not pause. Floods do not pause either while nobody else commits. Nothing else ever pauses: not charts,
 * long answers or large code.
 */
import type { WorkerId } from '../../domain/ids.ts';
import type { PreparedCommit } from './preparedCommit.ts';

/** A worker may store this much at a time without being a flood: some charts, or a long table. */
const BURST_BYTES = 512 * 1024;
/**
 * A worker's stored bytes are forgotten at this rate. Floods that pause for each other still store faster than this, so
 * each of them continues to count as a flood.
 */
const FORGIVEN_BYTES_PER_SECOND = 64 * 1024;
/** Bytes beyond this are not counted, so that a worker is no flood any more 8 seconds after its output has ended. */
const MAX_EXCESS_BYTES = 2 * BURST_BYTES;
/**
 * The pause after a flood's commit, as a multiple of the commit's duration. So all floods together use an eighth of the
 * time for their commits.
 */
const PAUSES_PER_COMMIT = 7;
/** Longest pause, however long the commit took. */
const MAX_PAUSE_MS = 100;
/**
 * How long a commit of somebody else counts as recent. It is longer than a short call takes. So a client that makes one
 * short call after another always counts as active, although it commits nothing while its code runs.
 */
const RECENT_MS = 250;
/** Above this number of workers, those without counted bytes are dropped. */
const MAX_REMEMBERED = 1_000;

export interface BulkPace {
  isFlood(commit: PreparedCommit): boolean;
  /** Milliseconds until floods may commit again. 0 or less: they may now. */
  pauseMs(): number;
  /** Records that a group was committed in `tookMs`, and that the commits `left` still wait. */
  committed(
    group: readonly PreparedCommit[],
    left: readonly PreparedCommit[],
    tookMs: number,
  ): void;
}

export function createBulkPace(): BulkPace {
  /** The counted bytes of each worker, as of the time `at`. */
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
