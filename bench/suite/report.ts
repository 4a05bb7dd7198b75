/** The results of a run, as they are printed and written to a file. */
import type { BenchResult, Comparison, Figure, Samples, Target } from './bench.ts';
import { isMet, judgedEnd } from './direction.ts';
import type { Provenance } from './provenance.ts';
import { type Percentiles, percentilesOf, type Ratio, ratioOf } from './statistics.ts';

export interface ReportedSamples extends Percentiles {
  readonly name: string;
  readonly n: number;
}

export interface ReportedComparison {
  readonly name: string;
  readonly unit: string;
  readonly ratio: Ratio;
  readonly base: ReportedSamples;
  readonly measured: ReportedSamples;
  readonly target?: Target;
  readonly isMet?: boolean;
}

export interface ReportedFigure extends Figure {
  readonly isMet?: boolean;
}

export interface ReportedBench {
  readonly name: string;
  readonly seconds: number;
  readonly comparisons: readonly ReportedComparison[];
  readonly figures: readonly ReportedFigure[];
  /** Why the bench failed. It may still have results. */
  readonly failure?: string;
}

export interface Report {
  readonly provenance: Provenance;
  readonly isShort: boolean;
  readonly benches: readonly ReportedBench[];
}

/** @throws RangeError if a series is empty */
export function reportBench(name: string, seconds: number, result: BenchResult): ReportedBench {
  return {
    name,
    seconds: Math.round(seconds),
    comparisons: result.comparisons.map(reportComparison),
    figures: result.figures.map((figure) => ({ ...figure, ...judgement(figure.value, figure) })),
    ...(result.failure === undefined ? {} : { failure: result.failure }),
  };
}

/** Reports a bench that threw an error. */
export function reportFailure(name: string, seconds: number, failure: string): ReportedBench {
  return { name, seconds: Math.round(seconds), comparisons: [], figures: [], failure };
}

function reportComparison(comparison: Comparison): ReportedComparison {
  const { name, unit, base, measured } = comparison;
  const ratio = ratioOf(base, measured);
  return {
    name,
    unit,
    ratio,
    base: reportSamples(base),
    measured: reportSamples(measured),
    ...judgement(judgedEnd(ratio, comparison.target), comparison),
  };
}

function reportSamples({ name, values }: Samples): ReportedSamples {
  return { name, n: values.length, ...percentilesOf(values) };
}

function judgement(value: number, { target }: { readonly target?: Target }) {
  return target === undefined ? {} : { target, isMet: isMet(value, target) };
}
