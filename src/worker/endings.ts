/** How executions end: with an answer from the worker, or without one. */
import type { Ending, EndStatus } from '../domain/execution.ts';
import { unknownFiles } from '../domain/executionFiles.ts';
import {
  type ExecutionOutcome,
  type ExecutionProgress,
  storedOutputBytes,
} from '../kernel/execution.ts';
import type { Job } from './storing/batch.ts';

/** Derives the ending from the reply to an execution. If the kernel cannot reply, the agent replies in its place. */
export function endingOf(outcome: ExecutionOutcome, job: Job): Ending {
  // An execution that was interrupted before the kernel began it counts as cancelled.
  const isCancelled = outcome.status === 'INTERRUPTED' && outcome.startedAt === null;
  return {
    status: isCancelled ? 'CANCELLED' : outcome.status,
    executionCount: outcome.executionCount,
    errorName: outcome.errorName,
    errorValue: outcome.errorValue,
    stateLost: outcome.stateLost || job.stateLost,
    truncated: outcome.truncated,
    cpuMs: outcome.cpuMs,
    peakMemoryBytes: outcome.peakMemoryBytes,
    outputBytes: outcome.outputBytes,
    storedOutputBytes: outcome.storedOutputBytes,
    exitCode: outcome.exitCode,
    ...(outcome.signal !== null && { signal: outcome.signal }),
    // An execution that never began has changed no files, and its files were not compared.
    files: outcome.startedAt === null ? null : outcome.files,
  };
}

/**
 * The ending of an execution that gets no reply, because it was cancelled or its worker is gone.
 * @param progress null if the execution never reached the kernel
 */
export function endingWithoutAnswer(
  status: Extract<EndStatus, 'CANCELLED' | 'WORKER_LOST'>,
  stateLost: boolean,
  progress: ExecutionProgress | null,
): Ending {
  return {
    status,
    executionCount: null,
    errorName: null,
    errorValue: null,
    stateLost,
    truncated: progress?.isTruncated ?? false,
    cpuMs: null,
    peakMemoryBytes: null,
    outputBytes: progress?.producedBytes ?? 0,
    storedOutputBytes: progress === null ? 0 : storedOutputBytes(progress),
    exitCode: null,
    files:
      progress === null
        ? null
        : unknownFiles(status === 'WORKER_LOST' ? 'worker-lost' : 'session-ended'),
  };
}
