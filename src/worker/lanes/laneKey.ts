import type { Execution } from '../../domain/execution.ts';
import { type Queue, queueOf } from '../../domain/queueOf.ts';

/**
 * A worker's executions are in lanes: one at a time in each lane, in the order of acceptance, and independent of other
 * lanes. This is the name of a lane.
 */
export type LaneKey = string;

/** The lane of the kernel that each session has. */
export const DEFAULT_LANE: LaneKey = 'default';

/** The lane that an execution is in: that of its context. A command waits for no other execution: its lane is its own. */
export function laneOf(execution: Pick<Execution, 'id' | 'language' | 'contextId'>): LaneKey {
  const queue = queueOf(execution);
  return queue === 'commands' ? execution.id : laneOfContext(queue);
}

/** @param id null: the default context */
export function laneOfContext(id: Exclude<Queue, 'commands'>): LaneKey {
  return id ?? DEFAULT_LANE;
}
