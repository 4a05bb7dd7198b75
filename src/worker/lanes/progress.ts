/**
 * The state that the next holder of a worker needs to continue. It is stored with the cursor. The store does not
 * interpret it.
 */

import type { ExecutionId } from '../../domain/ids.ts';
import type { Cursor } from '../../events/store/eventStore.ts';
import type { ExecutionProgress } from '../../kernel/execution.ts';
import { DEFAULT_LANE, type LaneKey } from './laneKey.ts';

export interface LaneProgress {
  /** The progress of the execution under way. */
  readonly execution: ExecutionProgress | null;
  /**
   * Whether a loss of variables is still to be reported: true from the replacement of the kernel until the first
   * execution that begins in the new kernel has ended. That execution reports the loss.
   */
  readonly hasUntoldLoss: boolean;
  /**
   * Whether the kernel was replaced while the current execution ran, so that the next execution is the first in the new
   * kernel.
   */
  readonly isReplacedUnderWay: boolean;
}

/** The default lane's progress is at the top level. */
export interface WorkerProgress extends LaneProgress {
  /** The other lanes that have something to continue or to report. Left out if there are none. */
  readonly lanes?: Readonly<Record<LaneKey, LaneProgress>>;
}

/** A lane in which nothing was ever begun. */
export const NO_PROGRESS: LaneProgress = {
  execution: null,
  hasUntoldLoss: false,
  isReplacedUnderWay: false,
};

/** The progress that the former holder stored, by lane. */
export function splitProgress({ progress }: Pick<Cursor, 'progress'>) {
  const stored: WorkerProgress = (progress as WorkerProgress | null) ?? NO_PROGRESS;
  const { lanes = {}, ...ofDefault } = stored;
  return { ofDefault, ofOthers: Object.entries(lanes) };
}

/** The progress to store. If no other lane has progress, this is the default lane's progress, unchanged. */
export function joinedProgress(
  ofDefault: LaneProgress,
  lanes: ReadonlyMap<LaneKey, { readonly progress: LaneProgress }>,
): WorkerProgress {
  let ofOthers: Record<LaneKey, LaneProgress> | undefined;
  for (const [key, { progress }] of lanes)
    if (key !== DEFAULT_LANE && !isEmpty(progress)) ofOthers = { ...ofOthers, [key]: progress };
  return ofOthers ? { ...ofDefault, lanes: ofOthers } : ofDefault;
}

/** Whether the lane has nothing to continue or to report, like a lane in which nothing has ever begun. */
export function isEmpty({ execution, hasUntoldLoss }: LaneProgress): boolean {
  return execution === null && !hasUntoldLoss;
}

/** The execution's progress, if it is under way in the lane. */
export function underWay({ execution }: LaneProgress, id: ExecutionId): ExecutionProgress | null {
  return execution?.executionId === id ? execution : null;
}

/** The stored progress of one execution; null if it never reached its kernel. */
export function progressIn(
  cursor: Pick<Cursor, 'progress'>,
  id: ExecutionId,
): ExecutionProgress | null {
  const { ofDefault, ofOthers } = splitProgress(cursor);
  for (const lane of [ofDefault, ...ofOthers.map(([, progress]) => progress)]) {
    const found = underWay(lane, id);
    if (found !== null) return found;
  }
  return null;
}
