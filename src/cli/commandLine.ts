/** What commands share: reading their options, printing a table, and undoing what they did before they failed. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Closers, closeAll } from '../async/closeAll.ts';
import { messageOf } from '../domain/errors.ts';

/** `parseArgs`, strictly. @throws Error that says what is wrong, and where the commands are explained */
export function parseOptions<T extends Omit<ParseArgsConfig, 'args' | 'strict'>>(
  words: readonly string[],
  config: T,
) {
  try {
    return parseArgs({ ...config, args: [...words], strict: true });
  } catch (cause: unknown) {
    throw new Error(`${messageOf(cause)} See cellhouse --help.`, { cause });
  }
}

/** The rows as lines of text, below their titles, in columns that are as wide as their longest cell. Pure. */
export function tableOf<Row>(
  columns: Readonly<Record<string, (row: Row) => string>>,
  rows: readonly Row[],
): string[] {
  const cells = [
    Object.keys(columns),
    ...rows.map((row) => Object.values(columns).map((c) => c(row))),
  ];
  const widths = Object.keys(columns).map((_, at) =>
    Math.max(...cells.map((line) => line[at]?.length ?? 0)),
  );
  return cells.map((line) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/**
 * Undoes what a command did before `failure`, in reverse order, and goes on if a step fails.
 * @throws AggregateError of `failure` and of the steps that failed. If all steps succeed, nothing is thrown, and the
 * caller must throw `failure`
 */
export async function cleanUp(failure: unknown, steps: Closers): Promise<void> {
  await closeAll(steps).catch((left: unknown) => {
    const message = `${messageOf(failure)} Not all of it was undone.`;
    throw new AggregateError([failure, left], message);
  });
}
