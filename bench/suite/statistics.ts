/** Percentiles of a series of samples, and the confidence interval of the ratio of two series. */
import { createRandom } from '../../chaos/random.ts';
import type { Figure, Samples } from './bench.ts';

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** The ratio of measured to base at each percentile. */
export interface Ratio extends Percentiles {
  /** The ends of the 95 % interval of `p50`. */
  readonly low: number;
  readonly high: number;
}

/** With this many resamples, the ends of the interval vary by less than 1 %. */
const RESAMPLES = 2_000;
/** Fixed, so that the same samples give the same interval. */
const SEED = 6;
/** The ends of the 95 % interval. */
const [LOW_PERCENT, HIGH_PERCENT] = [2.5, 97.5];

/** Percentiles by nearest rank. @throws RangeError if there are no samples */
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
 * A circular moving-block bootstrap (Künsch, The jackknife and the bootstrap for general stationary observations,
 * 1989). Neighbouring samples share the machine's load, so drawing single samples would make the interval too narrow.
 * If both series are from the same turns, the same turns are drawn from both. If the samples are from several
 * processes, the processes are drawn first.
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

/**
 * Draws as many places as there are samples, in blocks. The length of a block is the cube root of the number of samples
 * of one process, as theory recommends.
 */
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

/**
 * The smallest sample that at least `percent` of all do not exceed (nearest rank).
 * @throws RangeError if there are none
 */
export function percentile(samples: ArrayLike<number>, percent: number): number {
  const sorted = new Float64Array(samples).sort();
  const found = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
  if (found === undefined) throw new RangeError('There is no sample.');
  return found;
}

/** The 50th percentile. @throws RangeError without samples */
export function median(samples: ArrayLike<number>): number {
  return percentile(samples, 50);
}

/** By how many ms the median of the measured side is more than that of its base. */
export function difference(name: string, base: Samples, measured: Samples, atMost: number): Figure {
  const value = median(measured.values) - median(base.values);
  return { name: `${name}, p50`, unit: 'ms', value, target: { atMost } };
}
