/** Runs a file of examples/ against a test's gateway, with the command that the README or a page prints for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { TestGateway } from '../../testkit/gateway.ts';
import { readPage, USER_PAGES } from './userPages.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const PAGES = USER_PAGES.map(readPage).join('\n');
/** Debian's Python finds Debian's packages, even if another Python comes first on the tester's PATH. */
const DEBIAN_PROGRAMS = '/usr/bin';

export interface ExampleOptions {
  /** Words of the printed command -> their replacements in the test. */
  readonly words?: Readonly<Record<string, string>>;
  /** Words to add. */
  readonly more?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Its standard input. Default: empty. */
  readonly input?: Readable;
  /** Called with each piece of standard output. */
  readonly onText?: (piece: string) => void;
}

export interface ExampleEnd {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves when the example has ended, with any exit code. @throws Error if no page says how to run it */
export async function runExample(
  gateway: TestGateway,
  name: string,
  options: ExampleOptions = {},
): Promise<ExampleEnd> {
  const printed = commandOf(name).map((word) => options.words?.[word] ?? word);
  const [program = '', ...words] = [...printed, ...(options.more ?? [])];
  const child = spawn(program === 'node' ? process.execPath : program, words, {
    cwd: ROOT,
    env: { ...environment(gateway), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  (options.input ?? Readable.from([])).pipe(child.stdin);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    stdout += piece;
    options.onText?.(piece);
  });
  const [stderr, [exitCode]] = await Promise.all([
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { exitCode, stdout, stderr };
}

/** The words of the line that runs an example. */
function commandOf(name: string): string[] {
  const command = new RegExp(`^\\w+ examples/${name}(?: .*)?$`, 'm').exec(PAGES)?.[0];
  if (command === undefined) throw new Error(`No page says how to run ${name}.`);
  return command.replace(/ +#.*$/, '').split(' ');
}

/** An environment with the programs that the pages assume. */
export function environment(gateway: TestGateway): NodeJS.ProcessEnv {
  return {
    PATH: [DEBIAN_PROGRAMS, dirname(process.execPath), process.env.PATH].join(':'),
    CELLHOUSE_URL: gateway.url,
    CELLHOUSE_TOKEN: gateway.token,
    PYTHONIOENCODING: 'utf-8',
  };
}
