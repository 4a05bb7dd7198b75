import { readFileSync } from 'node:fs';
import { UsageError } from './options.ts';
import { isMoreBetter, type Report, type ReportedComparison } from './report.ts';

/** A ratio that is worse by more than this factor is not noise. */
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
 * Lists, a line each, what is far worse than in a former run on the same machine. Only ratios are compared, because
 * absolute figures vary with the machine's load. For the new run the near end of the interval counts, so that even a
 * run with few samples reports only what is certain. Both runs must contain the same comparisons, so that none is
 * dropped unnoticed.
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
    ...unknown.map((key) => `${key}: not in the former run, which must be repeated`),
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
  // Written so that NaN does not pass.
  if (timesWorse <= MAX_TIMES_WORSE) return [];
  return [
    `${key}: ${is.toPrecision(3)}x, which is ${timesWorse.toPrecision(3)} times worse than ${was.toPrecision(3)}x`,
  ];
}

// Reads the results of a former run, to compare a run with.

/**
 * Reads a file that `--json` has written.
 * @throws UsageError if it is not such a file, or is from another machine: ratios vary less than times, but still by
 * machine
 */
export function readFormer(file: string, machine: string): Report {
  const former = parse(file);
  if (former.provenance?.machine === undefined || !Array.isArray(former.benches))
    throw new UsageError(`${file} holds no results: npm run bench -- --json ${file} writes them.`);
  if (former.provenance.machine !== machine) {
    throw new UsageError(
      `${file} is from another machine (${former.provenance.machine}; this is ${machine}). Make a new one here.`,
    );
  }
  return former as Report;
}

function parse(file: string): Partial<Report> {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) ?? {}) as Partial<Report>;
  } catch (cause: unknown) {
    throw new UsageError(`${file} cannot be read: ${String(cause)}`, { cause });
  }
}
