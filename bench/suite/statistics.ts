/** Percentiles of a series of samples, and the confidence interval of the ratio of two series. */
import { createRandom } from '../../chaos/random.ts';
import { percentile } from '../support/percentile.ts';
import type { Samples } from './bench.ts';

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
  const medians = resampledRatios(base.values, measured.values);
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
 * If both series are from the same turns, the same turns are drawn from both.
 */
function resampledRatios(base: readonly number[], measured: readonly number[]): number[] {
  const random = createRandom(SEED);
  const isPaired = base.length === measured.length;
  return Array.from({ length: RESAMPLES }, () => {
    const ofBase = drawBlocks(base.length, random.next);
    const ofMeasured = isPaired ? ofBase : drawBlocks(measured.length, random.next);
    return medianAt(measured, ofMeasured) / medianAt(base, ofBase);
  });
}

/** Draws `count` indices in blocks. Their length is the cube root of `count`, as theory recommends. */
function drawBlocks(count: number, next: () => number): Uint32Array {
  const block = Math.max(1, Math.round(Math.cbrt(count)));
  const places = new Uint32Array(count);
  let start = 0;
  for (let at = 0; at < count; at += 1) {
    if (at % block === 0) start = Math.floor(next() * count);
    places[at] = (start + (at % block)) % count;
  }
  return places;
}

function medianAt(values: readonly number[], places: Uint32Array): number {
  const drawn = new Float64Array(places.length);
  for (let at = 0; at < places.length; at += 1) drawn[at] = values[places[at] ?? 0] ?? Number.NaN;
  return percentile(drawn, 50);
}
