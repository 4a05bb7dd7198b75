/** What a successor needs to go on with a worker. It is stored with the cursor and is opaque to the event store. */

import type { ExecutionId } from '../domain/ids.ts';
import type { Cursor } from '../events/store/eventStore.ts';
import type { ExecutionProgress } from '../kernel/execution/executionProgress.ts';

export interface WorkerProgress {
  /** The progress of the execution under way. */
  readonly execution: ExecutionProgress | null;
  /** The kernel died while nothing ran. The next execution must report this loss. */
  readonly hasUntoldLoss: boolean;
}

/** The progress that the predecessor stored. It is empty if the predecessor had begun nothing. */
export function workerProgress({ progress }: Pick<Cursor, 'progress'>): WorkerProgress {
  return (progress as WorkerProgress | null) ?? { execution: null, hasUntoldLoss: false };
}

/** The stored progress of one execution; null if it never reached the kernel. */
export function progressIn(
  cursor: Pick<Cursor, 'progress'>,
  id: ExecutionId,
): ExecutionProgress | null {
  const { execution } = workerProgress(cursor);
  return execution?.executionId === id ? execution : null;
}
