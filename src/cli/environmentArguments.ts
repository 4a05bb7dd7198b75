import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../domain/errors.ts';
import { quoted } from '../domain/quoted.ts';
import { wrong } from './tokenArguments.ts';

/** What `cellhouse environment` is asked to do. */
export type EnvironmentArguments = GatewayOptions &
  (
    | { readonly type: 'create'; readonly input: EnvironmentInput; readonly isWatched: boolean }
    | { readonly type: 'list'; readonly isJson: boolean }
    | ({ readonly type: 'show'; readonly isJson: boolean } & Version)
    | { readonly type: 'remove'; readonly name: string }
    | ({ readonly type: 'watch' } & Version)
    | { readonly type: 'rebuild'; readonly name: string; readonly isWatched: boolean }
  );

interface GatewayOptions {
  readonly url: string | undefined;
  readonly tokenFile: string | undefined;
}

interface Version {
  readonly name: string;
  /** Null: the newest. */
  readonly version: number | null;
}

/** As GraphQL takes it. */
export interface EnvironmentInput {
  readonly name: string;
  readonly apt: readonly string[];
  readonly pip: readonly string[];
  readonly index: string | null;
  readonly setup: string | null;
  readonly preload: readonly string[];
  readonly rebuild: boolean;
}

/** How many words an option takes: a list takes all up to the next option. */
type Kind = 'flag' | 'one' | 'list';
type Options = Readonly<Record<string, Kind>>;

const GATEWAY: Options = { url: 'one', 'token-file': 'one' };
const OF: Readonly<Record<string, Options>> = {
  create: {
    ...{ apt: 'list', pip: 'list', requirements: 'one', index: 'one', setup: 'one' },
    ...{ preload: 'list', rebuild: 'flag', watch: 'flag' },
  },
  list: { json: 'flag' },
  show: { version: 'one', json: 'flag' },
  remove: {},
  build: { version: 'one', rebuild: 'flag', watch: 'flag' },
};

/** Parses the words after `cellhouse environment`. @throws Error that says what is wrong */
export function environmentArguments([
  command = '',
  ...words
]: readonly string[]): EnvironmentArguments {
  const options = Object.hasOwn(OF, command) ? OF[command] : undefined;
  if (options === undefined)
    throw new Error(
      'cellhouse environment needs create, list, show, remove or build. See cellhouse --help.',
    );
  const given = parse(words, { ...GATEWAY, ...options });
  const { has, one, list, names } = given;
  const at = { url: one('url'), tokenFile: one('token-file') };
  if (command === 'list') {
    if (names.length > 0) throw new Error('cellhouse environment list takes no name.');
    return { ...at, type: 'list', isJson: has('json') };
  }
  const [name, ...more] = names;
  if (name === undefined || more.length > 0)
    throw new Error(`Name one environment: cellhouse environment ${command} NAME`);
  const isWatched = has('watch');
  switch (command) {
    case 'create':
      return {
        ...at,
        type: 'create',
        isWatched,
        input: {
          ...{ name, apt: list('apt'), preload: list('preload'), rebuild: has('rebuild') },
          pip: [...list('pip'), ...requirementsIn(one('requirements'))],
          index: indexOf(one('index')),
          setup: contentOf('--setup', one('setup')),
        },
      };
    case 'show':
      return { ...at, type: 'show', name, version: numberOf(one('version')), isJson: has('json') };
    case 'remove':
      return { ...at, type: 'remove', name };
    default:
      if (has('rebuild')) {
        if (one('version') !== undefined)
          throw new Error('--rebuild makes a new version: leave out --version.');
        return { ...at, type: 'rebuild', name, isWatched };
      }
      if (!isWatched) throw new Error('Say what to do with the build: --watch, --rebuild or both.');
      return { ...at, type: 'watch', name, version: numberOf(one('version')) };
  }
}

interface Given {
  readonly names: readonly string[];
  has(option: string): boolean;
  one(option: string): string | undefined;
  list(option: string): readonly string[];
}

/** A word is a name if it comes before the first option, after a flag, or after the value of a single-value option. */
function parse(words: readonly string[], options: Options): Given {
  const names: string[] = [];
  const values = new Map<string, string[]>();
  let into = names;
  let room = Number.POSITIVE_INFINITY;
  for (const word of words) {
    const [, option, value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (option === undefined) {
      if (room === 0) [into, room] = [names, Number.POSITIVE_INFINITY];
      into.push(word);
      room -= 1;
      continue;
    }
    const kind = Object.hasOwn(options, option) ? options[option] : undefined;
    if (kind === undefined) throw new Error(`There is no option --${option} here. See --help.`);
    if (kind !== 'list' && values.has(option)) throw new Error(`--${option} is given twice.`);
    into = values.get(option) ?? [];
    values.set(option, into);
    room = { flag: 0, one: 1, list: Number.POSITIVE_INFINITY }[kind];
    if (value === undefined) continue;
    if (room === 0) throw new Error(`--${option} takes no value, not ${quoted(value)}.`);
    into.push(value);
    room -= 1;
  }
  for (const [option, { length }] of values)
    if (options[option] !== 'flag' && length === 0) throw new Error(`--${option} needs a value.`);
  return {
    names,
    has: (option) => values.has(option),
    one: (option) => values.get(option)?.[0],
    list: (option) => values.get(option) ?? [],
  };
}

function numberOf(given: string | undefined): number | null {
  if (given === undefined) return null;
  if (!/^[1-9]\d{0,8}$/.test(given)) throw wrong('--version must be a whole number from 1', given);
  return Number(given);
}

/** A folder is resolved on this machine, so the gateway must run here, too. */
function indexOf(given: string | undefined): string | null {
  if (given === undefined) return null;
  return /^[a-z+]+:\/\//.test(given) ? given : resolve(given);
}

function requirementsIn(file: string | undefined): readonly string[] {
  return contentOf('--requirements', file)?.split(/\r?\n/) ?? [];
}

function contentOf(option: string, file: string | undefined): string | null {
  if (file === undefined) return null;
  try {
    return readFileSync(file, 'utf8');
  } catch (cause: unknown) {
    throw new Error(`${option} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
