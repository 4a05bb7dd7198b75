/** How late output is stored: at most so long after the first that is not stored yet. */

/** What a reader may be behind of the worker. */
export const FLUSH_DELAY_MS = 25;
/** A quiet worker's first output waits this long, so that a short run's output and end share one commit. */
const FIRST_FLUSH_DELAY_MS = 2;
/** To send an event to one follower takes about 0.1 ms: with so much time for each, it leaves most of it to others. */
const FLUSH_DELAY_PER_FOLLOWER_MS = 0.25;
/** What people still take for at once. */
const MAX_FLUSH_DELAY_MS = 250;

/**
 * In milliseconds. Up to a hundred followers change nothing; beyond, batches widen with their number.
 * @param sinceLastMs how long ago output was stored
 */
export function flushDelayMs(sinceLastMs: number, followers: number): number {
  const wide = Math.min(followers * FLUSH_DELAY_PER_FOLLOWER_MS, MAX_FLUSH_DELAY_MS);
  const delayMs = Math.max(FLUSH_DELAY_MS, wide);
  return sinceLastMs >= delayMs ? FIRST_FLUSH_DELAY_MS : delayMs;
}
