import { describe, expect, it } from 'vitest';
import { isMet, isMoreBetter } from '../../bench/suite/report.ts';
import { percentilesOf, ratioOf } from '../../bench/suite/statistics.ts';
import { createRandom } from '../../chaos/random.ts';

/** Latency-like values: never below `level`, and sometimes far above. */
function latencies(seed: number, level: number, count = 400): number[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => level + random.waitMs(level / 4));
}

const series = (values: readonly number[]) => ({ name: 'of a test', values });

describe('the percentiles', () => {
  it('are samples themselves, by nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, n) => 200 - n);
    expect(percentilesOf(values)).toEqual({ p50: 100, p95: 190, p99: 198 });
    expect(percentilesOf([3])).toEqual({ p50: 3, p95: 3, p99: 3 });
  });

  it('need a sample', () => {
    expect(() => percentilesOf([])).toThrow(RangeError);
    expect(() => ratioOf(series([1]), series([]))).toThrow(RangeError);
  });
});

describe('the ratio of two series', () => {
  it('is measured divided by base, for each percentile', () => {
    const base = latencies(1, 2);
    const ratio = ratioOf(series(base), series(base.map((value) => value * 3)));
    for (const value of Object.values(ratio)) expect(value).toBeCloseTo(3);
  });

  it('has the same interval for the same samples', () => {
    const [base, measured] = [series(latencies(1, 2)), series(latencies(2, 3))];
    expect(ratioOf(base, measured)).toEqual(ratioOf(base, measured));
  });

  it('lies in its interval, which more samples make narrower', () => {
    const width = (count: number) => {
      const { p50, low, high } = ratioOf(
        series(latencies(1, 2, count)),
        series(latencies(2, 3, count)),
      );
      expect(low).toBeLessThanOrEqual(p50);
      expect(high).toBeGreaterThanOrEqual(p50);
      return high - low;
    };
    expect(width(900)).toBeLessThan(width(60));
  });

  it('has its true value in the interval in nearly all runs', () => {
    const runs = 25;
    const trueRatio = 1.5;
    const held = Array.from({ length: runs }, (_, run) => {
      const base = series(latencies(2 * run + 1, 2, 60));
      const { low, high } = ratioOf(base, series(latencies(2 * run + 2, 3, 60)));
      return low <= trueRatio && trueRatio <= high;
    }).filter(Boolean).length;
    expect(held).toBeGreaterThanOrEqual(22);
  });

  it('takes series of different lengths', () => {
    const { low, high } = ratioOf(series(latencies(1, 2, 30)), series(latencies(2, 2, 90)));
    expect(low).toBeLessThan(1.05);
    expect(high).toBeGreaterThan(0.95);
  });

  it('has a wider interval if processes differ from each other', () => {
    const [processes, perProcess] = [8, 50];
    const random = createRandom(3);
    const values = Array.from({ length: processes }, (_, at) => {
      const level = 1 + random.next() / 5;
      return latencies(at + 1, 2, perProcess).map((value) => value * level);
    }).flat();
    const base = latencies(9, 2, values.length);
    const asOne = ratioOf(series(base), series(values));
    const asMany = ratioOf({ ...series(base), perProcess }, { ...series(values), perProcess });
    expect(asMany.p50).toBe(asOne.p50);
    expect(asMany.high - asMany.low).toBeGreaterThan(1.5 * (asOne.high - asOne.low));
    const oneOfEach = { ...series([1, 2, 3, 4]), perProcess: 1 };
    expect(ratioOf(oneOfEach, oneOfEach)).toEqual({ p50: 1, p95: 1, p99: 1, low: 1, high: 1 });
  });

  it('has an interval less than four times as wide when something slows both series alike', () => {
    const [base, measured] = [latencies(1, 2), latencies(2, 3)];
    const slow = (values: readonly number[]) =>
      values.map((value, turn) => (turn < values.length / 2 ? value : value * 4));
    const calm = ratioOf(series(base), series(measured));
    const busy = ratioOf(series(slow(base)), series(slow(measured)));
    expect(busy.high - busy.low).toBeLessThan(4 * (calm.high - calm.low));
  });
});

describe('the better direction', () => {
  it('follows from the unit', () => {
    expect(['MB/s', '1/s', 'events/s'].every(isMoreBetter)).toBe(true);
    expect(['ms', 's', 'MiB', ''].some(isMoreBetter)).toBe(false);
  });

  it('follows from the target', () => {
    expect(isMet(1, { atMost: 1 })).toBe(true);
    expect(isMet(1.01, { atMost: 1 })).toBe(false);
    expect(isMet(5, { atLeast: 5 })).toBe(true);
    expect(isMet(4.9, { atLeast: 5 })).toBe(false);
  });
});
