/** The table that ends a benchmark: 50th and 95th percentile of both, and their ratio. */
import { cpus } from 'node:os';
import { percentile } from './percentile.ts';

export interface Samples {
  readonly name: string;
  readonly values: readonly number[];
}

const PERCENTS = [50, 95];

/** @param title what was measured, and its unit. @throws RangeError without samples */
export function printComparison(title: string, base: Samples, measured: Samples): void {
  const [ofBase, ofMeasured] = [base, measured].map(({ values }) =>
    PERCENTS.map((percent) => percentile(values, percent)),
  );
  const row = (name: string, cells: readonly string[]) =>
    console.log(name.padEnd(36) + cells.map((cell) => cell.padStart(10)).join(''));
  const digits = (values: readonly number[] = []) => values.map((value) => value.toFixed(2));
  console.log();
  row(
    title,
    PERCENTS.map((percent) => `p${percent}`),
  );
  row(base.name, digits(ofBase));
  row(measured.name, digits(ofMeasured));
  row(
    'ratio',
    digits(ofMeasured?.map((value, at) => value / (ofBase?.[at] ?? Number.NaN))).map(
      (cell) => `${cell}x`,
    ),
  );
  console.log(
    `${measured.values.length} samples each in turns; ${cpus().length} CPUs, Node ${process.version}`,
  );
}
