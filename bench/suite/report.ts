/** Runs the benches and reports their results, as they are printed and written to a file. */

import { inspect } from 'node:util';
import type { BenchResult, Comparison, Figure, Samples, Target } from './bench.ts';
import type { Options } from './options.ts';
import type { Provenance } from './provenance.ts';
import { type Percentiles, percentilesOf, type Ratio, ratioOf } from './statistics.ts';

interface ReportedSamples extends Percentiles {
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

interface ReportedFigure extends Figure {
  readonly isMet?: boolean;
}

interface ReportedBench {
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
function reportFailure(name: string, seconds: number, failure: string): ReportedBench {
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

const MS_PER_S = 1_000;

/** Runs the benches one after the other. One that throws is reported as failed; the others keep their results. */
export async function runBenches(
  { benches, isShort, args }: Pick<Options, 'benches' | 'isShort' | 'args'>,
  say: (line: string) => void,
): Promise<ReportedBench[]> {
  const reported: ReportedBench[] = [];
  for (const bench of benches) {
    const { name, about } = bench;
    say(`${name}: ${about}`);
    const startedAt = performance.now();
    const seconds = () => (performance.now() - startedAt) / MS_PER_S;
    try {
      const result = await bench.run({ isShort, args, say: (line) => say(`${name}: ${line}`) });
      reported.push(reportBench(name, seconds(), result));
    } catch (error: unknown) {
      say(`${name} failed: ${inspect(error)}`);
      reported.push(reportFailure(name, seconds(), reasonOf(error)));
    }
  }
  return reported;
}

/** The messages of an error and its causes. The stack trace is printed when it occurs. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} ${reasonOf(error.cause)}`;
}

/** Whether higher values are better. They are for rates, but not for times, sizes and counts. */
export function isMoreBetter(unit: string): boolean {
  return unit.endsWith('/s');
}

export function isMet(value: number, target: Target): boolean {
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
}

/** The value of a ratio that is compared with its target. */
function judgedEnd({ p50, low, high }: Ratio, target?: Target): number {
  if (!target?.atNearEnd) return p50;
  return 'atMost' in target ? low : high;
}

// Formats the table at the end of a run. Ratios come first, because they depend less on the machine.

type Row = readonly string[];

const RATIO_HEAD = ['measured to base', 'p50', '95 % interval', 'p95', 'p99', 'target', ''];
const SERIES_HEAD = ['taken in turns', 'unit', 'p50', 'p95', 'p99', 'n', ''];
const FIGURE_HEAD = ['figures', 'unit', 'value', '', '', 'target', ''];

export function formatReport({ provenance, isShort, benches }: Report): string {
  const ratios = benches.flatMap(ratioRows);
  const series = benches.flatMap(seriesRows);
  const figures = benches.flatMap(figureRows);
  const blocks: Row[][] = [];
  if (ratios.length > 0) blocks.push([RATIO_HEAD, ...ratios], [SERIES_HEAD, ...series]);
  if (figures.length > 0) blocks.push([FIGURE_HEAD, ...figures]);
  const { machine, versions, commit, date } = provenance;
  const times = benches.map(({ name, seconds }) => `${name} ${seconds} s`).join(', ');
  return [
    ...align(blocks),
    machine,
    versions,
    `commit ${commit}, ${date}${isShort ? ', short form' : ''}; ${times}`,
    ...benches.flatMap(({ name, failure }) =>
      failure === undefined ? [] : ['', `FAILED: ${name}: ${failure}`],
    ),
  ].join('\n');
}

/** With fewer samples an interval would be meaningless. */
const MIN_FOR_INTERVAL = 8;

function ratioRows({ name, comparisons }: ReportedBench): Row[] {
  return comparisons.map(({ name: of, ratio, base, measured, target, isMet }) => [
    `${name}: ${of}`,
    times(ratio.p50),
    Math.min(base.n, measured.n) < MIN_FOR_INTERVAL
      ? 'too few'
      : `${times(ratio.low)} - ${times(ratio.high)}`,
    times(ratio.p95),
    times(ratio.p99),
    ...verdict(target, isMet, 'x'),
  ]);
}

/** Lists a base only once, even if several series are compared with it. */
function seriesRows({ name, comparisons }: ReportedBench): Row[] {
  const rows = comparisons.flatMap(({ name: of, unit, base, measured }) => [
    samplesRow(`${name}: ${of}: ${base.name}`, unit, base),
    samplesRow(`${name}: ${of}: ${measured.name}`, unit, measured),
  ]);
  const seen = new Set<string>();
  return rows.filter((row) => {
    const key = row.join('\0');
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}

function samplesRow(name: string, unit: string, { p50, p95, p99, n }: ReportedSamples): Row {
  return [name, unit, plain(p50), plain(p95), plain(p99), String(n), ''];
}

function figureRows({ name, figures }: ReportedBench): Row[] {
  return figures.map(({ name: of, unit, value, target, isMet }) => [
    `${name}: ${of}`,
    unit,
    plain(value),
    '',
    '',
    ...verdict(target, isMet, ''),
  ]);
}

function verdict(target: Target | undefined, isMet: boolean | undefined, unit: string): Row {
  if (target === undefined) return ['', ''];
  const bound = 'atMost' in target ? `<= ${target.atMost}${unit}` : `>= ${target.atLeast}${unit}`;
  return [target.atNearEnd ? `${bound}, near end` : bound, isMet ? 'met' : 'NOT MET'];
}

function times(ratio: number): string {
  return `${ratio.toPrecision(3)}x`;
}

/** Three significant digits. A large number keeps all digits before the point. */
function plain(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 6));
}

/** Aligns all blocks to the same columns and adds an empty line after each. */
function align(blocks: readonly (readonly Row[])[]): string[] {
  const all = blocks.flat();
  const widths = RATIO_HEAD.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const line = (row: Row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return blocks.flatMap((rows) => [...rows.map(line), '']);
}
