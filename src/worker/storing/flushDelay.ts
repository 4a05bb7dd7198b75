/** How long output may wait before it is stored. */

/** The usual wait, which is also how far readers lag behind the worker. */
export const FLUSH_DELAY_MS = 25;
/** How long the first output after a quiet time waits, so that output and end of a short run share one commit. */
const FIRST_FLUSH_DELAY_MS = 2;
/** Sending an event to a follower takes about 0.1 ms of CPU. This delay leaves more than half of the time to others. */
const FLUSH_DELAY_PER_FOLLOWER_MS = 0.25;
/** A delay that people still perceive as immediate. */
const MAX_FLUSH_DELAY_MS = 250;

/**
 * The delay in milliseconds. It is the same for up to a hundred followers, and grows with their number beyond that.
 * @param sinceLastMs how long ago output was last stored
 */
export function flushDelayMs(sinceLastMs: number, followers: number): number {
  const wide = Math.min(followers * FLUSH_DELAY_PER_FOLLOWER_MS, MAX_FLUSH_DELAY_MS);
  const delayMs = Math.max(FLUSH_DELAY_MS, wide);
  return sinceLastMs >= delayMs ? FIRST_FLUSH_DELAY_MS : delayMs;
}
