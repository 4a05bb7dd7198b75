/** `cellhouse environment`: creates, lists, shows, removes and builds environments as a client of a running gateway. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pause } from '../async/pause.ts';
import { messageOf } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import { tableOf } from './commandLine.ts';
import {
  addressOf,
  askGateway,
  followGateway,
  type GatewayAddress,
  operatorsTokenIn,
  RefusedError,
} from './gatewayClient.ts';
import { wrong } from './token.ts';

/** The parsed arguments of `cellhouse environment`. */
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

/** The input of the mutation `createEnvironment`. */
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

/** A gateway that is restarted is back in seconds. */
const RETRY_MS = 1_000;
const MAX_RETRIES = 60;

const FIELDS = `name version state createdAt finishedAt bytes failure
  packages { name version from } apt pip index setup preload`;

interface Environment {
  readonly name: string;
  readonly version: number;
  readonly state: 'BUILDING' | 'READY' | 'FAILED';
  readonly createdAt: string;
  readonly finishedAt: string | null;
  readonly bytes: number | null;
  readonly failure: string | null;
  readonly packages: readonly { readonly name: string; readonly version: string; from: string }[];
  readonly apt: readonly string[] | null;
  readonly pip: readonly string[] | null;
  readonly index: string | null;
  readonly setup: string | null;
  readonly preload: readonly string[];
}

interface Printing {
  /** Prints text as it is. */
  readonly write: (text: string) => void;
}

/** @param words the arguments after `environment` */
export async function environment(words: readonly string[]): Promise<void> {
  const asked = environmentArguments(words);
  const at = {
    url: addressOf(asked.url, process.env),
    token: operatorsTokenIn(asked.tokenFile, process.env),
  };
  await runEnvironment(asked, at, { write: (text) => process.stdout.write(text) });
}

async function runEnvironment(
  asked: EnvironmentArguments,
  at: GatewayAddress,
  { write }: Printing,
): Promise<void> {
  const say = (line: string) => write(`${line}\n`);
  switch (asked.type) {
    case 'create':
      return await created(at, await create(at, asked.input), asked.isWatched, write);
    case 'rebuild': {
      const { apt, pip, index, setup, preload } = await find(at, asked.name, null);
      const input = { name: asked.name, apt, pip, index, setup, preload, rebuild: true };
      return await created(at, await create(at, input), asked.isWatched, write);
    }
    case 'watch':
      return await watch(at, await find(at, asked.name, asked.version), write);
    case 'list':
      return list(await all(at), asked.isJson, say);
    case 'show':
      return show(await find(at, asked.name, asked.version), asked.isJson, say);
    case 'remove': {
      const query =
        'mutation ($name: String!) { removeEnvironment(input: { name: $name }) { version } }';
      await askGateway(at, query, { name: asked.name });
      return say(`Removed ${asked.name}. Sessions that are open in it go on.`);
    }
    default:
      return asked satisfies never;
  }
}

async function create(at: GatewayAddress, input: object): Promise<Environment> {
  const query = `mutation ($input: CreateEnvironmentInput!) { createEnvironment(input: $input) { ${FIELDS} } }`;
  const answer = await askGateway<{ createEnvironment: Environment }>(at, query, { input });
  return answer.createEnvironment;
}

async function created(
  at: GatewayAddress,
  version: Environment,
  isWatched: boolean,
  write: Printing['write'],
): Promise<void> {
  const { name, version: number, state } = version;
  write(`${name}, version ${number}: ${state}\n`);
  if (isWatched) return await watch(at, version, write);
  if (state === 'BUILDING') write(`Follow it: cellhouse environment build ${name} --watch\n`);
}

/** @throws RefusedError if there is none */
async function find(
  at: GatewayAddress,
  name: string,
  version: number | null,
): Promise<Environment> {
  const query = `query ($name: String!, $version: Int) { environment(name: $name, version: $version) { ${FIELDS} } }`;
  const variables = { name, version };
  const { environment: found } = await askGateway<{ environment: Environment | null }>(
    at,
    query,
    variables,
  );
  if (found !== null) return found;
  const which = version === null ? '' : `, version ${version}`;
  throw new RefusedError(`There is no environment ${name}${which}.`);
}

interface AllEnvironments {
  readonly environments: {
    readonly edges: readonly { readonly node: Environment }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

async function all(at: GatewayAddress): Promise<readonly Environment[]> {
  const found: Environment[] = [];
  for (let after: string | null = null; ; ) {
    const { environments }: AllEnvironments = await askGateway(
      at,
      `query ($after: String) { environments(first: 1000, after: $after) {
        edges { node { ${FIELDS} } } pageInfo { hasNextPage endCursor } } }`,
      { after },
    );
    found.push(...environments.edges.map(({ node }) => node));
    if (!environments.pageInfo.hasNextPage) return found;
    after = environments.pageInfo.endCursor;
  }
}

interface LogEvent {
  readonly environmentBuild: {
    readonly seq: number;
    readonly text?: string;
    readonly droppedBytes?: number;
  };
}

/** Prints the log up to its end, and continues after a lost connection. @throws Error if the build has failed */
async function watch(
  at: GatewayAddress,
  { name, version }: Environment,
  write: Printing['write'],
): Promise<void> {
  const query = `subscription ($name: String!, $version: Int, $after: Int) {
    environmentBuild(name: $name, version: $version, after: $after) {
      seq ... on BuildOutput { text } ... on BuildGap { droppedBytes } } }`;
  let after = 0;
  for (let failures = 0; ; failures += 1) {
    try {
      const variables = { name, version, after };
      for await (const { environmentBuild } of followGateway<LogEvent>(at, query, variables)) {
        const { seq, text, droppedBytes } = environmentBuild;
        [after, failures] = [seq, 0];
        if (droppedBytes !== undefined) write(`[${droppedBytes} bytes are not kept]\n`);
        write(text ?? '');
      }
      break;
    } catch (error: unknown) {
      if (error instanceof RefusedError || failures === MAX_RETRIES) throw error;
      await pause(RETRY_MS);
    }
  }
  const { state, failure } = await find(at, name, version);
  if (state === 'FAILED') throw new Error(`${name}, version ${version} was not built: ${failure}`);
  write(`${name}, version ${version}: ${state}\n`);
}

const COLUMNS = {
  NAME: ({ name }) => name,
  VERSION: ({ version }) => String(version),
  STATE: ({ state }) => state,
  CREATED: ({ createdAt }) => createdAt.slice(0, 16),
  SIZE: ({ bytes }) => (bytes === null ? '' : `${Math.ceil(bytes / 1_048_576)} MiB`),
  PACKAGES: ({ packages }) => String(packages.length),
} satisfies Readonly<Record<string, (environment: Environment) => string>>;

function list(
  environments: readonly Environment[],
  isJson: boolean,
  say: (line: string) => void,
): void {
  const lines = isJson
    ? environments.map((each) => JSON.stringify(each))
    : tableOf(COLUMNS, environments);
  for (const line of lines) say(line);
}

function show(found: Environment, isJson: boolean, say: (line: string) => void): void {
  if (isJson) {
    say(JSON.stringify(found));
    return;
  }
  const { name, version, state, failure, apt, pip, index, setup, preload, packages } = found;
  say(`${name}, version ${version}: ${state}${failure === null ? '' : `. ${failure}`}`);
  const asked = {
    ...{ apt: apt?.join(' '), pip: pip?.join('\n'), index, setup, preload: preload.join(' ') },
  };
  for (const [what, value] of Object.entries(asked))
    if (value) say(`${what}: ${value.trimEnd().replaceAll('\n', '\n  ')}`);
  for (const { name: of, version: is, from } of packages) say(`${from.toLowerCase()} ${of} ${is}`);
}
