import type { Execution } from '../../domain/execution.ts';
import type { ExecutionId } from '../../domain/ids.ts';
import type { Segment } from './batch.ts';

export interface ReloadDeps {
  readonly reloadExecution: (id: ExecutionId) => Promise<Execution | null>;
  /** The seq of the execution's last stored output; 0 if there is none. */
  readonly lastSeq: (id: ExecutionId) => Promise<number>;
}

/**
 * Reads again the executions that another writer may have changed. A commit may have succeeded although its answer was
 * lost. Outputs that it stored are removed from the segments, so that they are not stored twice.
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
