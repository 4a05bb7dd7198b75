/**
 * How far a follower of a context has read. It gets the executions in the order of acceptance, each from its beginning
 * to its end.
 */
export interface ContextPlace {
  /** The position of an execution's request. The follower has got everything of the executions before it. */
  readonly position: number;
  /**
   * The last item of this execution that the follower has got: 0 is its beginning, a higher number the seq of an
   * output.
   */
  readonly seq: number;
}

/** The follower has got nothing of this execution yet. */
export const NOT_BEGUN = -1;
/** The follower has got all of this execution, its end included. No output has such a high seq. */
export const WHOLE = 2_147_483_647;

/** Whether a follower at `reached` has already got the item at `place`. */
export function isTold(place: ContextPlace, reached: ContextPlace | null): boolean {
  if (reached === null || place.position > reached.position) return false;
  return place.position < reached.position || place.seq <= reached.seq;
}
