/**
 * The commands that clients run. Each adds its key to a list in the home, which lives as long as the session, and then
 * prints one line, the mark: `$ <how often the key is in the list>`. So a second run shows in the list, which the last
 * command of a client prints. The mark has no number if the key could not be added, because the disk was full, or be
 * counted, because a fault killed a process.
 */
import { WORKER_HOME } from '../../src/domain/worker.ts';
import type { Cell, CellKind, CommandKind } from '../history.ts';
import { CALL_LIMIT_MS } from './attempts.ts';
import { readsInput } from './inputs.ts';

/** The file of the list, in the home. */
export const LIST_NAME = 'ran';
/** Far more than any command needs, unless its worker is paused. */
const AMPLE_TIMEOUT_MS = 30_000;
/** Waiting for input counts, and all gateways may be away for a minute. Shorter than a client follows it. */
export const INPUT_TIMEOUT_MS = 120_000;
/**
 * Of a command that only an interrupt ends. Its client makes two calls at most until then, one to reach it and the
 * interrupt, and faults may keep either from being answered for as long as a client tries. So such a command reaches
 * this limit only if an interrupt was lost.
 */
const INTERRUPTED_TIMEOUT_MS = 2 * CALL_LIMIT_MS + 60_000;
/** What a command that was not killed exits with. */
const EXIT_CODES: Readonly<Record<CommandKind, number>> = {
  shell: 0,
  'shell-stream': 3,
  'shell-endless': 0,
  'shell-input': 0,
  server: 0,
  ledger: 0,
};
export const SHELL_STREAM_LINES = 30;
const LIST = `${WORKER_HOME}/${LIST_NAME}`;

/** The shell says on standard error when a fault has killed a child. Each key ends with `;`, so a torn one shows. */
const prologue = (key: string): string => `exec 2>/dev/null
n=
printf '\\n%s;\\n' '${key}' >> ${LIST} && n=$(grep -cx '${key};' ${LIST})
echo "$ $n"
`;

/** Without any process but the shell's own and its sleep. */
const STREAM = `for ((i = 0; i < ${SHELL_STREAM_LINES}; i++)); do echo "$i:"; sleep 0.06; done`;

function bodyOf(kind: CommandKind, port: number): string {
  switch (kind) {
    case 'shell':
      return '';
    case 'shell-stream':
      return `${STREAM}; exit ${EXIT_CODES[kind]}`;
    case 'shell-endless':
      // With processes that no signal to its group reaches, and one that takes no notice of any.
      return "sleep 1000 & setsid sleep 1001 & (trap '' INT TERM; sleep 1002) & exec sleep 1003";
    case 'shell-input':
      return 'while IFS= read -r line; do printf \'%s\\n\' "$line"; done';
    case 'server':
      return `exec python3 -u -m http.server ${port} --bind 127.0.0.1`;
    case 'ledger':
      return `cat ${LIST}`;
    default:
      return kind satisfies never;
  }
}

export function isCommandKind(kind: CellKind | null): kind is CommandKind {
  return kind !== null && kind in EXIT_CODES;
}

/** The exit code of such a command, if it ends by itself. */
export function exitCodeOf(kind: CommandKind): number {
  return EXIT_CODES[kind];
}

/** @param port of a server */
export function makeCommand(kind: CommandKind, key: string, port: number): Cell {
  const code = prologue(key) + bodyOf(kind, port);
  const allowInput = readsInput(kind);
  return { kind, key, code, timeoutMs: timeoutOf(kind), language: 'BASH', allowInput };
}

function timeoutOf(kind: CommandKind): number {
  if (readsInput(kind)) return INPUT_TIMEOUT_MS;
  return kind === 'shell-endless' || kind === 'server' ? INTERRUPTED_TIMEOUT_MS : AMPLE_TIMEOUT_MS;
}

/** The key of the command that this code is. Null: it is none. */
export function keyInCommand(code: string): string | null {
  return /^printf '\S+' '([^']+)' >> /m.exec(code)?.[1] ?? null;
}

/** The first line that a command prints. */
export interface CommandMark {
  /** How often its key is in the list. Null: nobody knows. */
  readonly count: number | null;
}

export function commandMarkOf(text: string): CommandMark | null {
  const match = /^\$ (\d*)\n/.exec(text);
  return match && { count: match[1] ? Number(match[1]) : null };
}

/** The keys of a list, as the command `ledger` prints it after its mark. */
export function keysOf(text: string): string[] {
  const [, ...lines] = text.split('\n');
  return lines.flatMap((line) => (line.endsWith(';') ? [line.slice(0, -1)] : []));
}
