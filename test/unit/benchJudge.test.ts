import { describe, expect, it } from 'vitest';
import { judge } from '../../bench/suite/guard.ts';

interface Rest {
  readonly unit?: string;
  readonly name?: string;
  readonly failure?: string;
  /** Half the width of the interval. */
  readonly width?: number;
}

const report = (p50: number, { unit = 'ms', name = 'of twins', width = 0, ...rest }: Rest = {}) => {
  const ratio = { p50, low: p50 - width, high: p50 + width };
  return { benches: [{ name: 'a', comparisons: [{ name, unit, ratio }], ...rest }] };
};

describe('a run compared with a former one', () => {
  it('passes when it is as good, better, or not far worse', () => {
    for (const ratio of [0.1, 1, 1.2, 1.79]) expect(judge(report(1.2), report(ratio))).toEqual([]);
  });

  it('fails on a ratio that is far worse', () => {
    expect(judge(report(1.2), report(1.9))).toEqual([
      'a: of twins: 1.90x, which is 1.58 times worse than 1.20x',
    ]);
  });

  it('counts a smaller figure as worse where more is better', () => {
    const rate = { unit: 'MB/s' };
    expect(judge(report(0.9, rate), report(5, rate))).toEqual([]);
    expect(judge(report(0.9, rate), report(0.7, rate))).toEqual([]);
    expect(judge(report(0.9, rate), report(0.5, rate))).toHaveLength(1);
  });

  it('ignores differences that may be chance: only the near end of the interval counts', () => {
    expect(judge(report(1.2), report(1.9, { width: 0.2 }))).toEqual([]);
    expect(judge(report(1.2), report(2.1, { width: 0.2 }))).toHaveLength(1);
    const rate = { unit: 'MB/s', width: 0.2 };
    expect(judge(report(0.9, rate), report(0.5, rate))).toEqual([]);
    expect(judge(report(0.9, rate), report(0.3, rate))).toHaveLength(1);
  });

  it('fails on a ratio that is not a number', () => {
    expect(judge(report(1.2), report(Number.NaN))).toHaveLength(1);
  });

  it('fails on a comparison that only one of the two runs has', () => {
    const one = judge(report(1), { benches: [{ name: 'a', comparisons: [] }] });
    expect(one).toEqual([
      'nothing was compared',
      'a: of twins: in the former run, and not compared now',
    ]);
    expect(judge(report(1), report(1, { name: 'of others' }))).toHaveLength(2);
  });

  it('fails on a bench that failed', () => {
    expect(judge(report(1), report(1, { failure: 'wrong answer' }))).toEqual([
      'a failed: wrong answer',
    ]);
  });
});
