import type { Execution } from '../../domain/execution.ts';
import { type Queue, queueOf } from '../../domain/queueOf.ts';

/**
 * The name of a lane. A lane runs one execution at a time, in the order of acceptance, and independently of other
 * lanes.
 */
export type LaneKey = string;

/** The lane of the default context, which every session has. */
export const DEFAULT_LANE: LaneKey = 'default';

/**
 * The lane that an execution is in. A cell is in the lane of its context. Each command has a lane of its own, because
 * it waits for no other execution.
 */
export function laneOf(execution: Pick<Execution, 'id' | 'language' | 'contextId'>): LaneKey {
  const queue = queueOf(execution);
  return queue === 'commands' ? execution.id : laneOfContext(queue);
}

/** @param id null: the default context */
export function laneOfContext(id: Exclude<Queue, 'commands'>): LaneKey {
  return id ?? DEFAULT_LANE;
}
