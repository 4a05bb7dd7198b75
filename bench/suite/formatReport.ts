/** Formats the table at the end of a run. Ratios come first, because they depend less on the machine. */
import type { Target } from './bench.ts';
import type { Report, ReportedBench, ReportedSamples } from './report.ts';

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
