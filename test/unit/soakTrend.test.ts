import { describe, expect, it } from 'vitest';
import { trendOf } from '../../bench/support/holdings.ts';
import { fc } from '../support/seeded.ts';

const MINUTES = 20;
const line = (start: number, perMinute: number) =>
  Array.from({ length: 60 }, (_, n) => {
    const minute = (n / 59) * MINUTES;
    return { minute, value: start + perMinute * minute };
  });

describe('the trend of samples', () => {
  it('has the slope of the line, and its level in the middle', () => {
    const { level, growth } = trendOf(line(50, 0.5));
    expect(growth).toBeCloseTo(10);
    expect(level).toBeCloseTo(55);
  });

  it('is not changed by a fifth of the samples, wherever they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(59), { maxLength: 12 }),
        fc.double({ min: 0, max: 1e4, noNaN: true }),
        (at, by) => {
          const samples = line(50, 0).map((sample, n) =>
            at.includes(n) ? { ...sample, value: 50 + by } : sample,
          );
          expect(trendOf(samples).growth).toBeCloseTo(0);
        },
      ),
    );
  });

  it('shows a leak that is smaller than the noise of a sample', () => {
    const samples = line(50, 0.5).map(({ minute, value }, n) => ({
      minute,
      value: value + ((n % 3) - 1) * 4,
    }));
    expect(trendOf(samples).growth).toBeGreaterThan(8);
  });

  it('needs two samples', () => {
    expect(() => trendOf(line(1, 1).slice(0, 1))).toThrow(RangeError);
  });
});
