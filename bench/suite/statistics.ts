/** What a series of samples comes to, and how far the ratio of two series can be trusted. */
import { createRandom } from '../../chaos/random.ts';
import { percentile } from '../support/percentile.ts';
import type { Samples } from './bench.ts';

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Measured to base, of each percentile. */
export interface Ratio extends Percentiles {
  /** The ends of the 95 % interval of `p50`. */
  readonly low: number;
  readonly high: number;
}

/** The ends of the interval move by less than a hundredth from one number of this size to the next. */
const RESAMPLES = 2_000;
/** The same samples give the same interval. */
const SEED = 6;
/** What remains between them is 95 %. */
const [LOW_PERCENT, HIGH_PERCENT] = [2.5, 97.5];

/** By nearest rank. @throws RangeError without samples */
export function percentilesOf(values: readonly number[]): Percentiles {
  return {
    p50: percentile(values, 50),
    p95: percentile(values, 95),
    p99: percentile(values, 99),
  };
}

/** @throws RangeError if either has no samples */
export function ratioOf(base: Samples, measured: Samples): Ratio {
  const [below, above] = [percentilesOf(base.values), percentilesOf(measured.values)];
  const medians = resampledRatios(base, measured);
  return {
    p50: above.p50 / below.p50,
    p95: above.p95 / below.p95,
    p99: above.p99 / below.p99,
    low: percentile(medians, LOW_PERCENT),
    high: percentile(medians, HIGH_PERCENT),
  };
}

/**
 * A bootstrap by moving blocks (Künsch, The jackknife and the bootstrap for general stationary observations, 1989), taken
 * round the end: neighbours in time share the machine's moods, and single samples drawn by themselves would make the
 * interval too narrow. Where both series are of the same turns, the same turns of both are drawn. Where they are of several
 * processes, those are drawn first.
 */
function resampledRatios(base: Samples, measured: Samples): number[] {
  const random = createRandom(SEED);
  const isPaired = base.values.length === measured.values.length;
  return Array.from({ length: RESAMPLES }, () => {
    const ofBase = drawPlaces(base, random.next);
    const ofMeasured = isPaired ? ofBase : drawPlaces(measured, random.next);
    return medianAt(measured.values, ofMeasured) / medianAt(base.values, ofBase);
  });
}

/** As many places as there are, in blocks of the third root of what is of one process, the length that theory gives for such estimates. */
function drawPlaces(
  { values, perProcess = values.length }: Samples,
  next: () => number,
): Uint32Array {
  const block = Math.max(1, Math.round(Math.cbrt(perProcess)));
  const processes = Math.ceil(values.length / perProcess);
  const places = new Uint32Array(values.length);
  let first = 0;
  let start = 0;
  for (let at = 0; at < places.length; at += 1) {
    const within = at % perProcess;
    if (within === 0 && processes > 1) first = Math.floor(next() * processes) * perProcess;
    if (within % block === 0) start = Math.floor(next() * perProcess);
    places[at] = first + ((start + (within % block)) % perProcess);
  }
  return places;
}

function medianAt(values: readonly number[], places: Uint32Array): number {
  const drawn = new Float64Array(places.length);
  for (let at = 0; at < places.length; at += 1) drawn[at] = values[places[at] ?? 0] ?? Number.NaN;
  return percentile(drawn, 50);
}
