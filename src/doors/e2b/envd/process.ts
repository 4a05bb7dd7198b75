/**
 * envd's service `process.Process`. Its processes are the commands of the session
 * (docs/decisions/0069-a-command-has-a-process-id.md).
 */

import { onAbort } from '../../../async/onAbort.ts';
import { pause } from '../../../async/pause.ts';
import { DomainError } from '../../../domain/errors.ts';
import type {
  Execution,
  FoundCommand,
  InterruptSignal,
  RunningCommand,
} from '../../../domain/execution.ts';
import type { Terminal } from '../../../domain/executionOptions.ts';
import { WORKER_HOME } from '../../../domain/worker.ts';
import type { Fields } from '../../shared/body.ts';
import type { SandboxCall } from '../sandbox.ts';
import { endEventOf, KEEPALIVE, sendOutput, sendStart } from './processEvents.ts';
import {
  bytesIn,
  countIn,
  flagIn,
  partIn,
  RpcError,
  type RpcMethods,
  type RpcStream,
  type ServerStream,
  textIn,
  type Unary,
} from './rpc.ts';

/** The folder that a path of envd names. Null: the home. */
function folderOf(cwd: string): string | null {
  if (cwd === '' || cwd === '~') return null;
  return cwd.startsWith('~/') ? `${WORKER_HOME}/${cwd.slice(2)}` : cwd;
}

// A program and its arguments, as the code of a command that any gateway can read back.

interface CommandLine {
  readonly cmd: string;
  readonly args: readonly string[];
}

/** The code of a command that is not one of the SDKs' shell commands begins with this. */
const EXEC = 'exec -- ';
/** A word that a shell takes as it is, without quotes. */
const PLAIN_WORD = /^[\w@%+=:,./-]+$/;
/** A word as {@link quoted} writes it: plain, or in single quotes. A single quote in the word is written as `'\''`. */
const WORD = /'(?:[^']|'\\'')*'|[\w@%+=:,./-]+/y;

/**
 * The code of a command. If E2B's SDKs run a text in a shell, the code is that text. For any other program, the code is
 * an `exec` of the program, which replaces the worker's shell.
 */
export function codeOf(line: CommandLine): string {
  const code = inShell(line);
  if (code !== null && isSame(lineOf(code), line)) return code;
  return EXEC + [line.cmd, ...line.args].map(quoted).join(' ');
}

/** The inverse of {@link codeOf}: the program and the arguments for this code. */
export function lineOf(code: string): CommandLine {
  const [cmd, ...args] = code.startsWith(EXEC) ? wordsIn(code.slice(EXEC.length)) : [];
  return cmd === undefined ? { cmd: '/bin/bash', args: ['-l', '-c', code] } : { cmd, args };
}

/** The text that the SDKs' shell runs. Null: the program is not that shell. */
function inShell({ cmd, args: [login, option, code, ...more] }: CommandLine): string | null {
  const isShell = cmd === '/bin/bash' && login === '-l' && option === '-c' && more.length === 0;
  return isShell && code ? code : null;
}

function isSame(one: CommandLine, other: CommandLine): boolean {
  return JSON.stringify([one.cmd, one.args]) === JSON.stringify([other.cmd, other.args]);
}

function quoted(word: string): string {
  return PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The words of a line. Empty if {@link quoted} would have written the line differently. */
function wordsIn(text: string): string[] {
  const words: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    WORD.lastIndex = at;
    const [found] = WORD.exec(text) ?? [];
    if (found === undefined) return [];
    words.push(found.startsWith("'") ? found.slice(1, -1).replaceAll("'\\''", "'") : found);
    at += found.length;
  }
  return words.map(quoted).join(' ') === text ? words : [];
}

/** What a message asks to start. */
interface StartRequest {
  readonly code: string;
  readonly environmentVariables: readonly { readonly name: string; readonly value: string }[];
  /** Null: the home. */
  readonly folder: string | null;
  readonly label: string | null;
  readonly allowInput: boolean;
  readonly pty: Terminal | null;
}

/** @throws RpcError `invalid_argument` */
export function startRequestIn(message: Fields): StartRequest {
  const process = partIn(message, 'process') ?? {};
  const cmd = textIn(process, 'cmd');
  if (cmd === '') throw new RpcError('invalid_argument', 'cmd must not be empty.');
  const pty = terminalIn(message);
  return {
    code: codeOf({ cmd, args: textsIn(process, 'args') }),
    environmentVariables: variablesIn(process),
    folder: folderOf(textIn(process, 'cwd')),
    label: textIn(message, 'tag') || null,
    // Older clients do not know the field `stdin`, and may write to any process.
    allowInput: pty === null && (flagIn(message, 'stdin') ?? true),
    pty,
  };
}

/** The size in a message. Null: it has none. @throws RpcError `invalid_argument` */
function terminalIn(message: Fields): Terminal | null {
  const pty = partIn(message, 'pty');
  if (pty === null) return null;
  const size = partIn(pty, 'size') ?? {};
  return { columns: countIn(size, 'cols'), rows: countIn(size, 'rows') };
}

function textsIn(fields: Fields, name: string): string[] {
  const texts: unknown = fields[name] ?? [];
  if (Array.isArray(texts) && texts.every((text) => typeof text === 'string')) return texts;
  throw new RpcError('invalid_argument', `${name} must be a list of strings.`);
}

function variablesIn(process: Fields) {
  const envs = partIn(process, 'envs') ?? {};
  return Object.keys(envs).map((name) => ({ name, value: textIn(envs, name) }));
}

/** The parts of a call that are needed to find a process. */
type Asked = Pick<SandboxCall, 'call' | 'userUuid' | 'hasEnded'>;

/** The process that a message selects by its id or its tag: one that runs, or has ended lately. @throws RpcError */
export async function selectedIn(
  { call: { service }, userUuid, hasEnded }: Asked,
  message: Fields,
): Promise<FoundCommand> {
  const selector = partIn(message, 'process') ?? {};
  const [pid, tag] = [countIn(selector, 'pid'), textIn(selector, 'tag')];
  if (pid === 0 && tag === '')
    throw new RpcError('invalid_argument', 'process must name a pid or a tag.');
  const found = await service.command(pid === 0 ? { userUuid, label: tag } : { userUuid, pid });
  if (found !== null) return found;
  // The service's answer is null if there is no such command, and also if there is no session.
  if (await hasEnded()) throw new DomainError('SESSION_ENDED', 'The session has ended.');
  return notFound(pid === 0 ? `tag ${tag}` : `pid ${pid}`);
}

/** The running process that a message selects. @throws RpcError, also if the process has ended */
export async function runningIn(sandbox: Asked, message: Fields): Promise<Execution> {
  const { execution } = await selectedIn(sandbox, message);
  return execution.finishedAt === null ? execution : notFound(`pid ${execution.pid}`);
}

function notFound(selector: string): never {
  throw new RpcError('not_found', `process with ${selector} not found`);
}

/**
 * A client begins to measure the time limit before its request arrives here, so it gives up a little too early. A
 * client that goes away this shortly before the limit has given up because of the limit.
 */
const EARLY_MS = 2_000;

/**
 * Starts a command, and sends its output and its end. The command outlives the connection, but not the time limit of
 * the call. The limit is recorded with the command, so it holds even if this gateway stops.
 */
const start: ServerStream = {
  kind: 'stream',
  keepalive: KEEPALIVE,
  handle: async (sandbox, message, out) => {
    const since = performance.now();
    const request = startRequestIn(message);
    await requireFolder(sandbox, request);
    // The client has gone away, so it would never know of the command.
    if (out.gone.aborted) return;
    const { service } = sandbox.call;
    const { execution, news } = await service.executeFollowed(
      executeRequestOf(sandbox, request, out),
      out.gone,
    );
    for await (const each of news) {
      if (each.type === 'begun') await sendStart(out, each.execution);
      else if (each.type === 'output') await sendOutput(out, execution, each.item);
      else return out.send(await endEventOf(sandbox, each.execution));
    }
    // The client has gone away. If it gave up because of the time limit, the command is killed at the limit, without a
    // grace time.
    const leftMs = since + (out.timeoutMs ?? Number.POSITIVE_INFINITY) - performance.now();
    if (leftMs > EARLY_MS) return;
    await pause(leftMs);
    await service.interrupt(execution.id, 'SIGKILL');
  },
};

function executeRequestOf(
  { userUuid }: SandboxCall,
  { folder, ...request }: StartRequest,
  { timeoutMs }: RpcStream,
) {
  const own = { workingDirectory: folder, isProcess: true, timeoutMs };
  return { userUuid, language: 'BASH', ...request, ...own } as const;
}

/** Checks the folder before the start. Otherwise, a command without its folder would begin, and then fail. */
async function requireFolder(
  { call: { service }, userUuid, hasEnded }: SandboxCall,
  { folder }: StartRequest,
): Promise<void> {
  if (folder === null) return;
  const found = await service.file(userUuid, folder, { follow: true });
  if (found === null && (await hasEnded()))
    throw new DomainError('SESSION_ENDED', 'The session has ended.');
  if (found === null) throw refused(folder, 'does not exist');
  if (found.entry.kind !== 'directory') throw refused(folder, 'is not a directory');
}

function refused(folder: string, why: string): RpcError {
  return new RpcError('invalid_argument', `cwd '${folder}' ${why}`);
}

/** Sends a process's id, what it writes from now on, and its end. A process that has ended lately has no output. */
const connect: ServerStream = {
  kind: 'stream',
  keepalive: KEEPALIVE,
  handle: async (sandbox, message, out) => {
    const { service } = sandbox.call;
    const { execution, lastSeq } = await selectedIn(sandbox, message);
    await sendStart(out, execution);
    if (execution.finishedAt === null) {
      const items = await service.followExecution(execution.id, lastSeq);
      onAbort(out.gone, () => void items.return?.());
      for await (const item of items) await sendOutput(out, execution, item);
    }
    if (out.gone.aborted) return;
    const ended = await service.execution(execution.id);
    await out.send(await endEventOf(sandbox, ended ?? execution));
  },
};

/** The most input that the service takes in one call. */
const MAX_PIECE_BYTES = 65_536;

/** Sends input to a process. The input is recorded, so any gateway may receive this call. */
export const sendInput: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const execution = await runningIn(sandbox, message);
    await send(sandbox, execution, inputIn(message, execution));
    return {};
  },
};

/** As in envd, it is no error if there is nothing to close. */
const closeStdin: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const { id: executionId, options, inputClosed } = await runningIn(sandbox, message);
    if (options?.pty)
      throw failed('cannot close stdin for PTY process: send Ctrl+D (0x04) instead');
    if (options?.allowInput && !inputClosed)
      await sandbox.call.service.sendInput({ executionId, text: '', close: true });
    return {};
  },
};

/**
 * Sends long input in pieces. If there is no room for all pieces, nothing is sent. If input of another call comes
 * between two pieces, the remaining pieces are not sent.
 * @throws DomainError INPUT_OUT_OF_ORDER in the latter case
 */
async function send(
  { call: { service } }: Pick<SandboxCall, 'call'>,
  { id: executionId }: Execution,
  bytes: Buffer,
): Promise<void> {
  let offset: number | null = null;
  for (let start = 0; start < bytes.length; start += MAX_PIECE_BYTES) {
    const piece = bytes.subarray(start, start + MAX_PIECE_BYTES);
    const followingBytes = bytes.length - start - piece.length;
    const base64 = piece.toString('base64');
    const sent = await service.sendInput({ executionId, offset, base64, followingBytes });
    offset = sent.nextOffset;
  }
}

/** @throws RpcError if the process has no such input */
function inputIn(message: Fields, { options, inputClosed }: Execution): Buffer {
  const input = partIn(message, 'input') ?? {};
  const [stdin, pty] = [bytesIn(input, 'stdin'), bytesIn(input, 'pty')];
  if (pty !== null) {
    if (options?.pty) return pty;
    throw failed('tty not assigned to process: input should be written to the stdin, not the tty');
  }
  if (stdin === null) throw new RpcError('unimplemented', 'input must have stdin or pty.');
  if (options?.pty)
    throw failed('tty assigned to process: input should be written to the pty, not the stdin');
  if (!options?.allowInput || inputClosed) throw failed('stdin not enabled or closed');
  return stdin;
}

function failed(message: string): RpcError {
  return new RpcError('failed_precondition', message);
}

/** By their names and by their numbers, since JSON of proto3 may have either. */
const SIGNALS: Readonly<Record<string, InterruptSignal>> = {
  SIGNAL_SIGTERM: 'SIGTERM',
  15: 'SIGTERM',
  SIGNAL_SIGKILL: 'SIGKILL',
  9: 'SIGKILL',
};

/** Ends a process. Answers when the process has ended, or some seconds after the grace time if it has not. */
const sendSignal: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const { id } = await runningIn(sandbox, message);
    const asked = String(message.signal ?? 'SIGNAL_UNSPECIFIED');
    const signal = Object.hasOwn(SIGNALS, asked) ? SIGNALS[asked] : undefined;
    if (signal === undefined) throw new RpcError('unimplemented', `invalid signal: ${asked}`);
    await sandbox.call.service.interrupt(id, signal);
    return {};
  },
};

/** Changes the size of a terminal. */
const update: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const { id, options } = await runningIn(sandbox, message);
    const size = terminalIn(message);
    if (size === null) return {};
    if (!options?.pty) throw new RpcError('failed_precondition', 'tty not assigned to process');
    await sandbox.call.service.resizeTerminal(id, size);
    return {};
  },
};

/** The running processes, whichever door started them. */
const list: Unary = {
  kind: 'unary',
  handle: async ({ call: { service }, userUuid }) => {
    const running = await service.commands(userUuid);
    return { processes: running.filter(({ execution }) => execution.pid !== null).map(infoOf) };
  },
};

function infoOf({ execution: { pid, options }, code }: RunningCommand): object {
  const { label, workingDirectory, environmentVariableNames = [] } = options ?? {};
  // No answer contains the values of variables.
  const envs = Object.fromEntries(environmentVariableNames.map((name) => [name, '']));
  return {
    pid,
    ...(label !== undefined && { tag: label }),
    config: {
      ...lineOf(code),
      envs,
      ...(workingDirectory !== undefined && { cwd: workingDirectory }),
    },
  };
}

/** StreamInput is missing: no SDK calls it. */
export const PROCESS_METHODS: RpcMethods = {
  'process.Process/Start': start,
  'process.Process/Connect': connect,
  'process.Process/List': list,
  'process.Process/SendInput': sendInput,
  'process.Process/CloseStdin': closeStdin,
  'process.Process/SendSignal': sendSignal,
  'process.Process/Update': update,
};
