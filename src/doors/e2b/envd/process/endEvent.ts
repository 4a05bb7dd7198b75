/** How a process ended, in the words of envd, which is written in Go. */
import { DomainError } from '../../../../domain/errors.ts';
import type { Execution } from '../../../../domain/execution.ts';
import type { SandboxCall } from '../../surface.ts';
import { RpcError } from '../rpc/rpcError.ts';

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
 * The last event of the stream.
 * @throws RpcError if it has not ended by itself, or has not run; DomainError if the sandbox ended first
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
  // Clients of others need the code also if it is 0, which JSON of proto3 would leave out.
  if (exitCode === 0) return { exitCode, exited: true, status: 'exit status 0' };
  const isExit = exitCode !== null;
  const status = isExit ? `exit status ${exitCode}` : `signal: ${nameOf(signal)}`;
  return { exitCode: exitCode ?? -1, exited: isExit, status, error: status };
}

/** Without a signal, nobody knows how it ended, and all its processes were killed. */
function nameOf(signal: string | null): string {
  return SIGNAL_NAMES[signal ?? 'SIGKILL'] ?? signal ?? 'killed';
}
