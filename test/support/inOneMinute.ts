import { pause } from '../../src/async/pause.ts';

const MINUTE_MS = 60_000;
/** Longer than any test takes whose counts must not begin anew with the next minute. */
const ENOUGH_MS = 15_000;

/** Waits for the next minute of the clock if too little is left of the present one. */
export async function inOneMinute(): Promise<void> {
  const leftMs = MINUTE_MS - (Date.now() % MINUTE_MS);
  if (leftMs < ENOUGH_MS) await pause(leftMs + 1);
}
