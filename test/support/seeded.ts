/**
 * The one seed of all random tests. `npm test` always makes the same choices, so a failure happens again.
 * `npm run test:long` takes a new seed each time, and prints it. `SEED=7 npm run test:int -- <file>` repeats the
 * choices of seed 7.
 */
import fastCheck from 'fast-check';

export const SEED = Number(process.env.SEED ?? 1);
if (!Number.isSafeInteger(SEED))
  throw new Error(`SEED must be a whole number: ${process.env.SEED}`);

fastCheck.configureGlobal({ seed: SEED });

/** Property tests import fast-check from here, so that it uses {@link SEED}. */
export { default as fc } from 'fast-check';
