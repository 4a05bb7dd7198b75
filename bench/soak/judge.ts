/** Judges whether the figures stayed flat over all looks. */
import type { BenchResult } from '../suite/bench.ts';
import { FIGURES, type FigureName, type Look } from './figures.ts';
import { type Trend, trendOf } from './trend.ts';

export interface FigureVerdict extends Trend {
  readonly figure: FigureName;
  readonly isFlat: boolean;
}

/** Judges each figure over all these looks. @throws RangeError if there are fewer than two */
export function judge(looks: readonly Look[]): FigureVerdict[] {
  return (Object.keys(FIGURES) as FigureName[]).map((figure) => {
    const trend = trendOf(looks.map((look) => ({ minute: look.minute, value: look[figure] })));
    return { figure, ...trend, isFlat: trend.growth <= FIGURES[figure].allowedGrowth };
  });
}

/**
 * Converts the verdicts for the suite's report. It is a failure if a figure grows.
 * @param after what was left out, in words
 */
export function reportVerdicts(verdicts: readonly FigureVerdict[], after: string): BenchResult {
  const figures = verdicts.flatMap(({ figure, level, growth }) => {
    const { name, unit, allowedGrowth } = FIGURES[figure];
    return [
      { name: `${name}, level ${after}`, unit, value: level },
      { name: `${name}, growth ${after}`, unit, value: growth, target: { atMost: allowedGrowth } },
    ];
  });
  const growing = verdicts
    .filter(({ isFlat }) => !isFlat)
    .map(({ figure }) => FIGURES[figure].name);
  const result = { comparisons: [], figures };
  return growing.length === 0 ? result : { ...result, failure: `it grows: ${growing.join(', ')}` };
}
