import { lookUntil } from '../src/async/lookUntil.ts';

const LOOK_INTERVAL_MS = 50;
/** Ends a wait for what never comes. What comes may take its time: six workers start together, beside other tests. */
const LOOK_LIMIT_MS = 60_000;

/** Looks until `look` gives something, for what no event tells of. @throws Error with what it saw last */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  limitMs = LOOK_LIMIT_MS,
): Promise<T> {
  const seen = await lookUntil({ everyMs: LOOK_INTERVAL_MS, limitMs }, look);
  if (seen === null) throw new Error(`${what}: not within ${limitMs} ms`);
  return seen;
}
