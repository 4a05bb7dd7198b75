import { pollUntil } from '../src/async/pollUntil.ts';

const LOOK_INTERVAL_MS = 50;
/** Limit of a wait for a condition that is never met. Generous: six workers may start together beside other tests. */
const LOOK_LIMIT_MS = 60_000;

/**
 * Polls until `look` returns a truthy value. This is for conditions that no event reports.
 * @throws Error that names `what` after `limitMs`
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  limitMs = LOOK_LIMIT_MS,
): Promise<T> {
  const seen = await pollUntil({ everyMs: LOOK_INTERVAL_MS, limitMs }, look);
  if (seen === null) throw new Error(`${what}: not within ${limitMs} ms`);
  return seen;
}
