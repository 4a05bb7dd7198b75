/** Parses the arguments after `npm run bench --`. */
import type { Bench } from './bench.ts';

export interface Options {
  readonly benches: readonly Bench[];
  readonly isShort: boolean;
  /** A file for the results. */
  readonly json: string | null;
  /** The file with the results of a former run, which this run is compared with. */
  readonly against: string | null;
  /** Arguments for the one bench that is named. */
  readonly args: readonly string[];
}

/** The arguments are wrong. The message says what is right. */
export class UsageError extends Error {}

/** The benches of the short form. They detect a slowdown by 1.5x within two minutes. */
export const SHORT_NAMES: readonly string[] = ['execute', 'roundtrip', 'restart'];

/**
 * From the first option that the suite does not know, all words are passed to the bench, except options of the suite.
 * @throws UsageError with the list of benches
 */
export function parseOptions(words: readonly string[], all: readonly Bench[]): Options {
  const names: string[] = [];
  const args: string[] = [];
  const files: Record<FileOption, string | null> = { '--json': null, '--against': null };
  let isShort = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const [option = '', file] = word.split(/=(.*)/s);
    if (word === '--short') isShort = true;
    else if (isFileOption(option)) {
      if (file === undefined) at += 1;
      const named = file ?? words[at] ?? '';
      if (named === '' || named.startsWith('-'))
        throw new UsageError(usage(`${option} needs a file.`, all));
      files[option] = named;
    } else if (args.length > 0 || word.startsWith('-')) args.push(word);
    else names.push(word);
  }
  if (args.length > 0 && names.length !== 1)
    throw new UsageError(usage(`${args[0]} is for one bench: name just that one.`, all));
  const benches = chooseBenches(names, isShort, all);
  return { benches, isShort, json: files['--json'], against: files['--against'], args };
}

type FileOption = '--json' | '--against';
const isFileOption = (option: string): option is FileOption =>
  option === '--json' || option === '--against';

/** The chosen benches in the order of the report. */
function chooseBenches(names: readonly string[], isShort: boolean, all: readonly Bench[]): Bench[] {
  const unknown = names.find((name) => !all.some((bench) => bench.name === name));
  if (unknown !== undefined) throw new UsageError(usage(`There is no benchmark ${unknown}.`, all));
  if (names.length > 0) return all.filter(({ name }) => names.includes(name));
  if (isShort) return all.filter(({ name }) => SHORT_NAMES.includes(name));
  return all.filter(({ isInBareRun }) => isInBareRun);
}

function usage(problem: string, all: readonly Bench[]): string {
  const width = Math.max(...all.map(({ name }) => name.length));
  const lines = all.map(
    ({ name, about, isInBareRun }) =>
      `  ${name.padEnd(width)}  ${about}${isInBareRun ? '' : ' (by name only)'}`,
  );
  return [
    problem,
    'npm run bench [-- NAME... [--short] [--json FILE] [--against FILE] [options of the one bench named]]',
    ...lines,
  ].join('\n');
}
