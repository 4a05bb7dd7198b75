import type { Execution } from '../../domain/execution.ts';

/**
 * A worker's executions are in lanes: one at a time in each lane, in the order of acceptance, and independent of other
 * lanes. This is the name of a lane.
 */
export type LaneKey = string;

/** The lane of the kernel that each session has. */
export const DEFAULT_LANE: LaneKey = 'default';

/** The lane that an execution is in: that of its context. */
export function laneOf({ contextId }: Pick<Execution, 'contextId'>): LaneKey {
  return contextId ?? DEFAULT_LANE;
}
