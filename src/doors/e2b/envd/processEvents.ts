/** Makes the events of a process's stream: its start, its output and its end. */
import { DomainError } from '../../../domain/errors.ts';
import type { Execution } from '../../../domain/execution.ts';
import type { OutputItem } from '../../../domain/output.ts';
import type { SandboxCall } from '../sandbox.ts';
import { RpcError, type RpcStream } from './rpc.ts';

// How a process ended, in the words of envd, which is written in Go.

/** Go's names of signals. */
const SIGNAL_NAMES: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGILL: 'illegal instruction',
  SIGTRAP: 'trace/breakpoint trap',
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGKILL: 'killed',
  SIGUSR1: 'user defined signal 1',
  SIGSEGV: 'segmentation fault',
  SIGUSR2: 'user defined signal 2',
  SIGPIPE: 'broken pipe',
  SIGALRM: 'alarm clock',
  SIGTERM: 'terminated',
};

/**
 * The last event of a process's stream.
 * @throws RpcError if the process reached its time limit, or never ran; DomainError if the sandbox ended first
 */
export async function endEventOf(
  sandbox: Pick<SandboxCall, 'hasEnded'>,
  execution: Execution,
): Promise<object> {
  const { status, errorName, errorValue, timeoutMs } = execution;
  if (status === 'TIMEOUT')
    throw new RpcError('deadline_exceeded', `The command has not ended within ${timeoutMs} ms.`);
  if (status === 'WORKER_LOST' || (status === 'CANCELLED' && (await sandbox.hasEnded())))
    throw new DomainError('SESSION_ENDED', 'The sandbox ended before the command did.');
  if (status === 'CANCELLED')
    throw new RpcError('canceled', 'The command was interrupted before it began.');
  if (errorName === 'CommandNotStarted')
    throw new RpcError('invalid_argument', errorValue ?? 'The command could not be started.');
  return { event: { end: endOf(execution) } };
}

function endOf({ exitCode, signal }: Pick<Execution, 'exitCode' | 'signal'>): object {
  // Proto3's JSON may omit an exit code of 0, but some clients need it.
  if (exitCode === 0) return { exitCode, exited: true, status: 'exit status 0' };
  const isExit = exitCode !== null;
  const status = isExit ? `exit status ${exitCode}` : `signal: ${nameOf(signal)}`;
  return { exitCode: exitCode ?? -1, exited: isExit, status, error: status };
}

/** Without exit code and signal, the process's end is unknown, and all processes of the command were killed. */
function nameOf(signal: string | null): string {
  return SIGNAL_NAMES[signal ?? 'SIGKILL'] ?? signal ?? 'killed';
}

/** envd sends chunks of at most this size, so clients expect no larger ones. */
const MAX_CHUNK_BYTES = 32_768;

export const KEEPALIVE = { event: { keepalive: {} } };

/** Sends the process id, for which clients wait. */
export async function sendStart(out: RpcStream, { pid }: Pick<Execution, 'pid'>): Promise<void> {
  if (pid === null) throw new RpcError('internal', 'The worker has not told the process id.');
  await out.send({ event: { start: { pid } } });
}

/** Sends what a command has written, in chunks that split no character. */
export async function sendOutput(
  out: RpcStream,
  { options }: Pick<Execution, 'options'>,
  { output }: OutputItem,
): Promise<void> {
  const written = writtenIn(output);
  if (written === null) return;
  const name = options?.pty ? 'pty' : written.name;
  for (const chunk of chunksOf(written.bytes))
    await out.send({ event: { data: { [name]: chunk.toString('base64') } } });
}

function writtenIn(output: OutputItem['output']) {
  if (output.kind === 'stream') {
    const { name, text, base64 } = output;
    return {
      name,
      bytes: base64 === undefined ? Buffer.from(text) : Buffer.from(base64, 'base64'),
    };
  }
  if (output.kind !== 'gap') return null;
  // Without a note, clients would take the output for complete.
  const text = `\n[${output.droppedBytes ?? 'Some'} bytes of output were not kept.]\n`;
  return { name: 'stderr' as const, bytes: Buffer.from(text) };
}

export function* chunksOf(bytes: Buffer, maxBytes = MAX_CHUNK_BYTES): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const end = endOfChunk(bytes, start, maxBytes);
    yield bytes.subarray(start, end);
    start = end;
  }
}

/** Cuts between two characters of UTF-8, if the chunk has such a place. */
function endOfChunk(bytes: Buffer, start: number, maxBytes: number): number {
  const furthest = start + maxBytes;
  if (furthest >= bytes.length) return bytes.length;
  let end = furthest;
  while (end > start && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return end > start ? end : furthest;
}
