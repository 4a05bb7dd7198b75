import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Segment } from './batch.ts';

export interface ReloadDeps {
  readonly reloadExecution: (id: ExecutionId) => Promise<Execution | null>;
  /** The seq of the execution's last stored output; 0 if there is none. */
  readonly lastSeq: (id: ExecutionId) => Promise<number>;
}

/**
 * Reads the executions again that somebody else may have changed. A commit may have succeeded although its answer was
 * lost: what it stored is taken out of the segments, so that it is not stored again.
 */
export async function reloadSegments(
  { reloadExecution, lastSeq }: ReloadDeps,
  segments: readonly Segment[],
): Promise<void> {
  for (const { job, outputs } of segments) {
    const { id } = job.execution;
    job.execution = (await reloadExecution(id)) ?? job.execution;
    const stored = Math.max(0, (await lastSeq(id)) + 1 - job.nextSeq);
    outputs.splice(0, stored);
    job.nextSeq += stored;
  }
}
