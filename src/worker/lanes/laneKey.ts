import type { Execution } from '../../domain/execution.ts';
import { isCommand } from '../../domain/executionOptions.ts';

/**
 * A worker's executions are in lanes: one at a time in each lane, in the order of acceptance, and independent of other
 * lanes. This is the name of a lane.
 */
export type LaneKey = string;

/** The lane of the kernel that each session has. */
export const DEFAULT_LANE: LaneKey = 'default';

/** The lane that an execution is in: that of its context. A command waits for no other execution: its lane is its own. */
export function laneOf(execution: Pick<Execution, 'id' | 'language' | 'contextId'>): LaneKey {
  return isCommand(execution) ? execution.id : (execution.contextId ?? DEFAULT_LANE);
}

/** Whether one waits for the other: both are in the same context, or both are commands of the session. */
export function sharesQueue(one: Execution, other: Execution): boolean {
  return isCommand(one) ? isCommand(other) : !isCommand(other) && one.contextId === other.contextId;
}
