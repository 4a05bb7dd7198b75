/**
 * The code that clients run. Each cell begins with the same prologue, which makes its run visible to all later runs in
 * the same kernel. The prologue appends the cell's key to a list that lives as long as the kernel, and prints one line,
 * the mark: `@<id of the kernel's life> <place in the list> <previous key>`. So the next run reveals a run that was not
 * recorded, or happened twice.
 */
import { WORKER_HOME } from '../../src/domain/worker.ts';
import { type Cell, type CellKind, type CommandKind, FILLER } from '../history.ts';
import { INPUT_LINES, PASSWORD_EVERY, readsInput } from './inputs.ts';
import {
  INPUT_TIMEOUT_MS,
  isCommandKind,
  keyInCommand,
  makeCommand,
  SHELL_STREAM_LINES,
} from './shellCells.ts';

/** Far more than any cell needs, unless its worker is paused. So only a fault can make a cell reach this limit. */
const AMPLE_TIMEOUT_MS = 30_000;
const RUNAWAY_TIMEOUT_MS = 300;
const DEAF_TIMEOUT_MS = 500;

const STREAM_LINES = 30;
const STREAM_PAUSE_S = 0.06;
/** More output, within seconds, than the smallest replay buffer holds (1 MiB). It overflows if no gateway stores it. */
const LOUD_LINES = 500;
const LOUD_FILLER_CHARS = 4_000;
const LOUD_PAUSE_S = 0.004;

const prologue = (key: string): string => `try:
    ran
except NameError:
    import os, time
    life = os.urandom(8).hex()
    ran = []
ran.append('${key}')
print(f'@{life} {len(ran)} {ran[-2] if len(ran) > 1 else "-"}')
`;

/** How often a cell tries to reach a new server. A server starts within a second, unless its worker is paused. */
const FETCH_TRIES = 200;
const FETCH_PAUSE_S = 0.05;
/** A cell prints this when it has reached its server. */
export const FETCHED = 'reached';
const PORT = '<port>';

const BODIES: Readonly<Record<Exclude<CellKind, CommandKind>, string>> = {
  counter: 'len(ran)',
  batch: 'len(ran)',
  stream: `for i in range(${STREAM_LINES}):
    print(f'{i}:')
    time.sleep(${STREAM_PAUSE_S})`,
  loud: `for i in range(${LOUD_LINES}):
    print(f'{i}:' + '${FILLER}' * ${LOUD_FILLER_CHARS})
    time.sleep(${LOUD_PAUSE_S})`,
  endless: 'while True:\n    time.sleep(0.02)',
  runaway: 'while True:\n    pass',
  deaf: `while True:
    try:
        time.sleep(1)
    except KeyboardInterrupt:
        pass`,
  input: `import getpass
for i in range(${INPUT_LINES}):
    print(getpass.getpass() if i % ${PASSWORD_EVERY} == 1 else input())`,
  audit: "print(' '.join(ran))",
  fill: `try:
    with open('${WORKER_HOME}/fill', 'wb') as file:
        while True:
            file.write(b'0' * 65536)
except OSError as error:
    print('errno', error.errno)`,
  fetch: `import urllib.request
answer = 'not ${FETCHED}'
for _ in range(${FETCH_TRIES}):
    try:
        with urllib.request.urlopen('http://127.0.0.1:${PORT}/', timeout=10):
            answer = '${FETCHED}'
        break
    except OSError:
        time.sleep(${FETCH_PAUSE_S})
print(answer)`,
  unfill: `try:
    os.remove('${WORKER_HOME}/fill')
except FileNotFoundError:
    pass`,
};

const TIMEOUTS_MS: Partial<Readonly<Record<CellKind, number>>> = {
  runaway: RUNAWAY_TIMEOUT_MS,
  deaf: DEAF_TIMEOUT_MS,
  input: INPUT_TIMEOUT_MS,
};

/**
 * @param key consists of letters, digits and dashes, and is unique in the run
 * @param port of the server, for `server` and `fetch`
 */
export function makeCell(kind: CellKind, key: string, port = 0): Cell {
  if (isCommandKind(kind)) return makeCommand(kind, key, port);
  const code = prologue(key) + BODIES[kind].replace(PORT, String(port));
  const timeoutMs = TIMEOUTS_MS[kind] ?? AMPLE_TIMEOUT_MS;
  return { kind, key, code, timeoutMs, language: 'PYTHON', allowInput: readsInput(kind) };
}

/** The key of the cell that fetches from the server with this key. */
export function fetchKeyOf(serverKey: string): string {
  return `${serverKey}-fetch`;
}

/** The key in the code of a cell or command. Null: the code has none. */
export function keyInCode(code: string): string | null {
  const [, key] = /^ran\.append\('([^']+)'\)$/m.exec(code) ?? [];
  return key ?? keyInCommand(code);
}

/** The first line that a cell prints. */
export interface RunMark {
  readonly life: string;
  /** How many cells have run in this life, including this one. */
  readonly place: number;
  readonly previousKey: string | null;
}

export function runMarkOf(stdout: string): RunMark | null {
  const match = /^@([0-9a-f]+) (\d+) (\S+)\n/.exec(stdout);
  if (!match?.[1] || !match[3]) return null;
  return {
    life: match[1],
    place: Number(match[2]),
    previousKey: match[3] === '-' ? null : match[3],
  };
}

/** How many lines a cell of this kind prints after its mark. Each is `<number from 0>:` followed by the filler. */
export function linesOf(kind: CellKind): { count: number; fillerChars: number } {
  if (kind === 'stream') return { count: STREAM_LINES, fillerChars: 0 };
  if (kind === 'shell-stream') return { count: SHELL_STREAM_LINES, fillerChars: 0 };
  if (kind === 'loud') return { count: LOUD_LINES, fillerChars: LOUD_FILLER_CHARS };
  return { count: 0, fillerChars: 0 };
}

/** Makes new cells and commands of a user, each with a key of its own. @param port see {@link makeCell} */
export function cellsOf(name: string): (kind: CellKind, port?: number) => Cell {
  let made = 0;
  return (kind, port) => {
    made += 1;
    return makeCell(kind, `${name}-${made}`, port);
  };
}
