import { isMoreBetter } from './direction.ts';
import type { ReportedComparison } from './report.ts';

/** So much worse is no noise. */
const MAX_TIMES_WORSE = 1.5;

type Judged = Pick<ReportedComparison, 'name' | 'unit'> & {
  readonly ratio: Pick<ReportedComparison['ratio'], 'p50' | 'low' | 'high'>;
};
interface JudgedReport {
  readonly benches: readonly {
    readonly name: string;
    readonly comparisons: readonly Judged[];
    readonly failure?: string;
  }[];
}

/**
 * What of a run is far worse than in a former one on the same machine, each in a line; none if all is well. By ratios only:
 * an absolute figure is the machine's mood. Of the run the near end of the interval counts, so that few samples complain of
 * nothing but what they are sure of. Both runs must have compared the same things, or something would be watched by nobody.
 */
export function judge(former: JudgedReport, run: JudgedReport): string[] {
  const [wanted, found] = [comparisonsOf(former), comparisonsOf(run)];
  const failures = run.benches.flatMap(({ name, failure }) =>
    failure === undefined ? [] : [`${name} failed: ${failure}`],
  );
  const missing = [...wanted.keys()].filter((key) => !found.has(key));
  const unknown = [...found.keys()].filter((key) => !wanted.has(key));
  return [
    ...failures,
    ...(found.size === 0 ? ['nothing was compared'] : []),
    ...missing.map((key) => `${key}: in the former run, and not compared now`),
    ...unknown.map((key) => `${key}: not in the former run: make that anew`),
    ...[...found].flatMap(([key, now]) => {
      const before = wanted.get(key);
      return before ? complain(key, before, now) : [];
    }),
  ];
}

function comparisonsOf({ benches }: JudgedReport): Map<string, Judged> {
  return new Map(
    benches.flatMap(({ name, comparisons }) =>
      comparisons.map((comparison) => [`${name}: ${comparison.name}`, comparison]),
    ),
  );
}

function complain(key: string, before: Judged, now: Judged): string[] {
  const { low, high } = now.ratio;
  const was = before.ratio.p50;
  const is = isMoreBetter(now.unit) ? high : low;
  const timesWorse = isMoreBetter(now.unit) ? was / is : is / was;
  // Not a number is no pass.
  if (timesWorse <= MAX_TIMES_WORSE) return [];
  return [
    `${key}: ${is.toPrecision(3)}x, which is ${timesWorse.toPrecision(3)} times worse than ${was.toPrecision(3)}x`,
  ];
}
