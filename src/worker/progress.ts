/** What a successor needs to go on with a worker; stored with its cursor, opaque to the event store. */

import type { ExecutionId } from '../domain/ids.ts';
import type { Cursor } from '../events/store/eventStore.ts';
import type { ExecutionProgress } from '../kernel/execution/executionProgress.ts';

export interface WorkerProgress {
  /** Of the execution under way. */
  readonly execution: ExecutionProgress | null;
  /** The kernel died while nothing ran: the next execution is the first to learn of it. */
  readonly hasUntoldLoss: boolean;
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
