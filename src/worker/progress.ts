/** What a successor needs to go on with a worker; stored with its cursor, opaque to the event store. */

import type { ExecutionId } from '../domain/ids.ts';
import type { Cursor } from '../events/store/eventStore.ts';
import type { ExecutionProgress } from '../kernel/execution/executionProgress.ts';

export interface WorkerProgress {
  /** Of the execution under way. */
  readonly execution: ExecutionProgress | null;
  /** The kernel was replaced, and no execution that its successor has begun has ended: the first of them tells of the loss. */
  readonly hasUntoldLoss: boolean;
  /** It was replaced under the one under way: the next is the first in the fresh kernel. Older gateways do not write it. */
  readonly isReplacedUnderWay?: boolean;
}

/** What the predecessor stored; nothing, if it had begun nothing. */
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
