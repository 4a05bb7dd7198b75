import { pause } from '../../src/async/pause.ts';

const MINUTE_MS = 60_000;
/** Longer than a test needs whose counts begin anew with the next minute. */
const ENOUGH_MS = 15_000;

/** Resolves when the present minute of the clock lasts for long enough. */
export async function inOneMinute(): Promise<void> {
  const leftMs = MINUTE_MS - (Date.now() % MINUTE_MS);
  if (leftMs < ENOUGH_MS) await pause(leftMs + 1);
}
