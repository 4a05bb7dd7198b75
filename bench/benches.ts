/** All benches, in the order of the report. */
import type { Bench } from './suite/bench.ts';

export const BENCHES: readonly Bench[] = [];
