/** What the next holder of a worker needs to continue. It is stored with the cursor; the store does not interpret it. */

import type { ExecutionId } from '../domain/ids.ts';
import type { Cursor } from '../events/store/eventStore.ts';
import type { ExecutionProgress } from '../kernel/execution/executionProgress.ts';

export interface WorkerProgress {
  /** The progress of the execution under way. */
  readonly execution: ExecutionProgress | null;
  /**
   * Whether a loss of variables is still to be reported: true from the replacement of the kernel until the first
   * execution that begins in the new kernel has ended. That execution reports the loss.
   */
  readonly hasUntoldLoss: boolean;
  /**
   * Whether the kernel was replaced while the current execution ran, so that the next execution is the first in the new
   * kernel. Older gateways do not write this field.
   */
  readonly isReplacedUnderWay?: boolean;
}

/** The progress that the former holder stored. It is empty if that gateway had begun nothing. */
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
