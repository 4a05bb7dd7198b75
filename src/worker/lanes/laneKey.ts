/**
 * A worker's executions are in lanes: one at a time in each lane, in the order of acceptance, and independent of other
 * lanes. This is the name of a lane.
 */
export type LaneKey = string;

/** The lane of the kernel that each session has. */
export const DEFAULT_LANE: LaneKey = 'default';
