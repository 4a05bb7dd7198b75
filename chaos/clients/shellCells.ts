/**
 * The commands that clients run. Each adds its key to a list in the home, which lives as long as the session, and then
 * prints one line, the mark: `$ <how often the key is in the list>`. So a second run shows in the list, which the last
 * command of a client prints. The mark has no number if the disk was full, so that the key could not be added, or if a
 * fault killed the process that counts.
 */
import { WORKER_HOME } from '../../src/domain/worker.ts';
import type { Cell, CellKind, CommandKind } from '../history.ts';
import { CALL_LIMIT_MS } from './attempts.ts';
import { readsInput } from './inputs.ts';

/** The file of the list, in the home. */
export const LIST_NAME = 'ran';
/** Far more than any command needs, unless its worker is paused. */
const AMPLE_TIMEOUT_MS = 30_000;
/** Waiting for input counts towards the limit, and all gateways may be away for a minute. Clients follow for longer. */
export const INPUT_TIMEOUT_MS = 120_000;
/**
 * The limit of a command that only an interrupt ends. Until then, its client makes at most two calls: one to reach it,
 * and the interrupt. Faults may delay each call by CALL_LIMIT_MS. So the command reaches this limit only if the
 * interrupt was lost.
 */
const INTERRUPTED_TIMEOUT_MS = 2 * CALL_LIMIT_MS + 60_000;
/** The exit code of a command that was not killed. */
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

/**
 * Standard error is dropped, because the shell reports there that a fault has killed a child. Each key ends with `;`,
 * which shows that the whole key was written.
 */
const prologue = (key: string): string => `exec 2>/dev/null
n=
printf '\\n%s;\\n' '${key}' >> ${LIST} && n=$(grep -cx '${key};' ${LIST})
echo "$ $n"
`;

/** Needs no processes except the shell and `sleep`. */
const STREAM = `for ((i = 0; i < ${SHELL_STREAM_LINES}; i++)); do echo "$i:"; sleep 0.06; done`;

function bodyOf(kind: CommandKind, port: number): string {
  switch (kind) {
    case 'shell':
      return '';
    case 'shell-stream':
      return `${STREAM}; exit ${EXIT_CODES[kind]}`;
    case 'shell-endless':
      // Has a process in a session of its own, which no signal to the command's group reaches, and one that ignores
      // SIGINT and SIGTERM.
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

/** The exit code of a command of this kind, if it ends by itself. */
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

/** The key in the code of a command. Null: the code is not a command. */
export function keyInCommand(code: string): string | null {
  return /^printf '\S+' '([^']+)' >> /m.exec(code)?.[1] ?? null;
}

/** The first line that a command prints. */
export interface CommandMark {
  /** How often its key is in the list. Null: the mark has no number. */
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
