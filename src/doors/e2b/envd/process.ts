/** process.Process: a process is a command (docs/decisions/0069-a-command-has-a-process-id.md). */

import { onAbort } from '../../../async/onAbort.ts';
import { pause } from '../../../async/pause.ts';
import type { FoundCommand, RunningCommand } from '../../../domain/commands.ts';
import { DomainError } from '../../../domain/errors.ts';
import type { Execution, InterruptSignal } from '../../../domain/execution.ts';
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

/** What every other program is recorded with. */
const EXEC = 'exec -- ';
/** What no shell looks at twice. */
const PLAIN_WORD = /^[\w@%+=:,./-]+$/;
/** A word as {@link quoted} writes it: plain, or in quotes, between which a quote stands as `'\''`. */
const WORD = /'(?:[^']|'\\'')*'|[\w@%+=:,./-]+/y;

/**
 * The code of a command. What E2B's SDKs run in a shell is recorded as it was written, without that shell. Any other
 * program takes the place of the shell.
 */
export function codeOf(line: CommandLine): string {
  const code = inShell(line);
  if (code !== null && isSame(lineOf(code), line)) return code;
  return EXEC + [line.cmd, ...line.args].map(quoted).join(' ');
}

/** The program and the arguments that {@link codeOf} has made this code of. */
export function lineOf(code: string): CommandLine {
  const [cmd, ...args] = code.startsWith(EXEC) ? wordsIn(code.slice(EXEC.length)) : [];
  return cmd === undefined ? { cmd: '/bin/bash', args: ['-l', '-c', code] } : { cmd, args };
}

/** The code that this is a shell for. Null: it is something else. */
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

/** The words of a line. None if {@link quoted} would have written it differently. */
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
    // Clients that do not know the field write to the process whenever they want.
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

/** What of a call is needed to find a process. */
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
  // The service does not tell a command that is not there from a session that is not.
  if (await hasEnded()) throw new DomainError('SESSION_ENDED', 'The session has ended.');
  return notFound(pid === 0 ? `tag ${tag}` : `pid ${pid}`);
}

/** The same, if it runs. @throws RpcError */
export async function runningIn(sandbox: Asked, message: Fields): Promise<Execution> {
  const { execution } = await selectedIn(sandbox, message);
  return execution.finishedAt === null ? execution : notFound(`pid ${execution.pid}`);
}

function notFound(selector: string): never {
  throw new RpcError('not_found', `process with ${selector} not found`);
}

/** A client that goes away so shortly before the time limit has measured it from before its request arrived here. */
const EARLY_MS = 2_000;

/**
 * Starts a command, and tells what becomes of it. It outlives the connection, but not the time limit of the call, which is
 * recorded as its own. So the limit holds whatever becomes of this gateway.
 */
const start: ServerStream = {
  kind: 'stream',
  keepalive: KEEPALIVE,
  handle: async (sandbox, message, out) => {
    const since = performance.now();
    const request = startRequestIn(message);
    await requireFolder(sandbox, request);
    // Nobody would know of the command.
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
    // Nobody listens any more. At the time limit, the command gets no grace time.
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

/** Otherwise the command would have begun before it is clear that it cannot. */
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

/** Tells what a process writes from now on, and its end; of one that has ended lately, only that. */
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

/** The service takes no more in one call. */
const MAX_PIECE_BYTES = 65_536;

/** Input for a process, which is recorded and delivered at whatever gateway. */
export const sendInput: Unary = {
  kind: 'unary',
  handle: async (sandbox, message) => {
    const execution = await runningIn(sandbox, message);
    await send(sandbox, execution, inputIn(message, execution));
    return {};
  },
};

/** Nothing to close is no error, as in envd. */
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
 * Long input goes in pieces, without those of another call in between, and not at all unless there is room for it.
 * @throws DomainError INPUT_OUT_OF_ORDER if another call has come in between
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

/** Ends a process. It resolves when that has happened, or the grace time after SIGTERM is over. */
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

/** Gives a terminal another size. */
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

/** The processes that run, from whatever door they were started. */
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
