/**
 * How far a follower of a context has come. It is told of executions in the order of acceptance, each from its beginning
 * to its end.
 */
export interface ContextPlace {
  /** The position of an execution's request. Everything of the executions before it was told. */
  readonly position: number;
  /** How much of this execution was told: 0 stands for its beginning, and then come the seqs of its outputs. */
  readonly seq: number;
}

/** Of this execution, nothing was told yet. */
export const NOT_BEGUN = -1;
/** All of it was told, its end as well. No output has such a seq. */
export const WHOLE = 2_147_483_647;

/** Whether somebody who has come as far as `reached` was told what is at `place`. */
export function isTold(place: ContextPlace, reached: ContextPlace | null): boolean {
  if (reached === null || place.position > reached.position) return false;
  return place.position < reached.position || place.seq <= reached.seq;
}
