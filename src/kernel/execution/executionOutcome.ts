import type { ErrorFacts, ReplyMessage } from '../frames/messages.ts';

/** How an execution that reached the kernel ended: the statuses that a kernel's answer can lead to (docs/api.md lists all). */
export interface ExecutionOutcome {
  readonly status: 'OK' | 'ERROR' | 'TIMEOUT' | 'INTERRUPTED';
  /** Both are null unless `status` is ERROR. May hold anything a Python `str` can (U+0000, lone surrogates). */
  readonly errorName: string | null;
  /** Bounded; the error output has the longer form. */
  readonly errorValue: string | null;
  readonly executionCount: number | null;
  /** The kernel was replaced while it ran: variables are gone. */
  readonly stateLost: boolean;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  /** Milliseconds since the epoch; null if the kernel never began it. */
  readonly startedAt: number | null;
  readonly finishedAt: number;
  /** What the code produced, kept or not. */
  readonly outputBytes: number;
  /** Some output could not be kept; gap outputs say where. */
  readonly truncated: boolean;
  /** Of a kernel that died (negative: the signal), else null. */
  readonly exitCode: number | null;
}

/** The status that a reply stands for, and its error if that is ERROR. */
export function judgeReply(reply: ReplyMessage): {
  readonly status: ExecutionOutcome['status'];
  readonly error: ErrorFacts | null;
} {
  const outcome = reply.verdict?.outcome;
  switch (outcome) {
    // The limit passed or somebody interrupted: whatever the code answered then.
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
      return judgePlainReply(reply);
    default:
      return outcome satisfies never;
  }
}

function judgePlainReply(reply: ReplyMessage): ReturnType<typeof judgeReply> {
  if (reply.status === 'ok') return { status: 'OK', error: null };
  // Nobody asked for an abort (we send `stop_on_error: false`), so it can only be told as an error.
  return {
    status: 'ERROR',
    error: reply.status === 'aborted' ? renamed(reply, 'Aborted') : reply.error,
  };
}

function renamed(reply: ReplyMessage, name: string): ErrorFacts {
  return { value: reply.error?.value ?? '', traceback: reply.error?.traceback ?? [], name };
}
