import type { ExecutionFiles } from '../../domain/executionFiles.ts';
import type { ErrorFacts, ReplyMessage } from '../frames/messages.ts';

/**
 * How an execution that reached the kernel ended. docs/api.md lists all statuses; these follow from a kernel's answer.
 */
export interface ExecutionOutcome {
  readonly status: 'OK' | 'ERROR' | 'TIMEOUT' | 'INTERRUPTED';
  /**
   * `errorName` and `errorValue` are null unless `status` is ERROR. They may hold anything that a Python `str` can
   * (U+0000, lone surrogates).
   */
  readonly errorName: string | null;
  /** Shortened; the error output has more of the text. */
  readonly errorValue: string | null;
  readonly executionCount: number | null;
  /** The kernel was replaced during the execution, so its variables are gone. */
  readonly stateLost: boolean;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  /** Milliseconds since the epoch. Null if the kernel never began the execution. */
  readonly startedAt: number | null;
  readonly finishedAt: number;
  /** All that the code produced, including output that was not kept. */
  readonly outputBytes: number;
  /** The size that the kept outputs count as stored (`storedOutputBytes` in `executionProgress.ts`). */
  readonly storedOutputBytes: number;
  /** Some output was not kept; gap outputs mark where. */
  readonly truncated: boolean;
  /** The exit code of a command, or of a kernel that died (negative: a signal), otherwise null. */
  readonly exitCode: number | null;
  /** The signal that ended a command, otherwise null. */
  readonly signal: string | null;
  /** The agent's report of the files that the execution changed in the home folder. Null if it sent none. */
  readonly files: ExecutionFiles | null;
}

interface Judgement {
  readonly status: ExecutionOutcome['status'];
  readonly error: ErrorFacts | null;
}

/** The status that a reply means, with the error if the status is ERROR. */
export function judgeReply(reply: ReplyMessage, isCommand: boolean): Judgement {
  const outcome = reply.verdict?.outcome;
  switch (outcome) {
    // After a timeout or an interrupt, the reply of the code itself does not matter.
    case 'timeout':
      return { status: 'TIMEOUT', error: null };
    case 'interrupted':
      return { status: 'INTERRUPTED', error: null };
    case 'kernel_died':
      return { status: 'ERROR', error: renamed(reply, 'KernelDied') };
    case 'out_of_memory':
      return { status: 'ERROR', error: renamed(reply, 'OutOfMemory') };
    case 'finished':
    case undefined:
      return isCommand && reply.status === 'ok' ? judgeCommand(reply) : judgePlainReply(reply);
    default:
      return outcome satisfies never;
  }
}

/** The agent reports how a command's process ended, but not whether that is an error. Exit code 0 is not an error. */
function judgeCommand({ verdict }: ReplyMessage): Judgement {
  const { exitCode = null, signal = null } = verdict ?? {};
  if (exitCode === 0 && signal === null) return { status: 'OK', error: null };
  const value = signal ?? (exitCode === null ? 'unknown' : `exit code ${exitCode}`);
  const said = signal === null ? value : `signal ${value}`;
  return { status: 'ERROR', error: { name: 'CommandFailed', value: said, traceback: [] } };
}

function judgePlainReply(reply: ReplyMessage): Judgement {
  if (reply.status === 'ok') return { status: 'OK', error: null };
  // An abort is unexpected, because the gateway sends `stop_on_error: false`. So it is reported as an error.
  return {
    status: 'ERROR',
    error: reply.status === 'aborted' ? renamed(reply, 'Aborted') : reply.error,
  };
}

function renamed(reply: ReplyMessage, name: string): ErrorFacts {
  return { value: reply.error?.value ?? '', traceback: reply.error?.traceback ?? [], name };
}
