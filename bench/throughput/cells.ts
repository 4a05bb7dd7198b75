/** Cells that users run repeatedly. Each run depends on the state that the last one left. */

export interface Cell {
  readonly name: string;
  /** Runs once in each session. */
  readonly preparation: string;
  readonly code: string;
  /** The expected result of the `n`th run, counted from 1. */
  result(n: number): string;
}

const COUNT = 'x = x + 1; x';

/** Long code, which has to be compiled and run. */
const FIVE_KB = Array.from(
  { length: 60 },
  (_, n) =>
    `value_${n} = x + ${n}\nif value_${n} < 0: raise ValueError("it was less than nothing: " + str(value_${n}))`,
).join('\n');

export const SMALL: Cell = {
  name: 'small cells',
  preparation: 'x = 0; x',
  code: COUNT,
  result: String,
};

/** The cell by which all systems are compared. */
export const ONE_PLUS_ONE: Cell = {
  name: '1+1',
  preparation: '0',
  code: '1+1',
  result: () => '2',
};

export const LONG: Cell = {
  name: '5 KB of code',
  preparation: 'x = 0; x',
  code: `${FIVE_KB}\n${COUNT}`,
  result: String,
};

export const PANDAS: Cell = {
  name: 'pandas cells',
  preparation: `import pandas as pd
frame = pd.DataFrame({"key": list("abcd") * 250, "value": range(1000)})
x = 0; x`,
  code: `sums = frame.groupby("key")["value"].sum()\n${COUNT}`,
  result: String,
};
