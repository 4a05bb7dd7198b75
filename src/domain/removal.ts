/**
 * A piece of history that was removed. The events that it names are gone, and the audit chain still holds.
 *
 * ```
 *  (none) --record--> RECORDED
 * ```
 * It is recorded in the transaction that removes, so there is no removal without an event, and no event without one.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { ExecutionId, RemovalId } from './ids.ts';

export type RemovalEvent = Event<
  'HistoryPruned',
  {
    removalId: RemovalId;
    /** Only streams that ended before this time were removed. */
    before: string;
    streams: number;
    /** How many events were deleted: those of `event_removals`. */
    events: number;
    outputs: number;
    /**
     * The executions of which this has deleted what they kept, so that each gateway knows what became free. Left out if
     * there are none.
     */
    executionIds?: readonly ExecutionId[];
    /** Whether what was deleted was first written to a file. */
    isArchived: boolean;
    /** A hash over the positions of the deleted events, in hexadecimal (`src/events/chain/leaf.ts`). */
    digest: string;
  }
>;

/** The state that a removal's event folds into, which is also its row. */
export interface Removal {
  readonly id: RemovalId;
  readonly version: number;
  readonly reason: 'pruned';
  readonly before: Date;
  readonly streams: number;
  readonly events: number;
  readonly outputs: number;
  readonly isArchived: boolean;
  readonly digest: string;
  readonly removedAt: Date;
}

export type RemovalCommand = { readonly type: 'RecordPruning' } & RemovalEvent['data'];

/**
 * The events that a command on a removal records. Pure.
 * @throws WrongStateError if it is recorded already
 */
export function decideRemoval(command: RemovalCommand, removal: Removal | null): RemovalEvent[] {
  const { type, ...data } = command;
  if (removal !== null) throw new WrongStateError('removal', 'recorded', type);
  return [{ type: 'HistoryPruned', data }];
}

/**
 * The removal after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream has another beginning
 */
export function evolveRemoval(state: Removal | null, event: RemovalEvent): Removal {
  if (event.type !== 'HistoryPruned') throw missingStart(event.type);
  const { at, removalId: id, before, ...data } = event.data;
  return {
    id,
    version: (state?.version ?? 0) + 1,
    reason: 'pruned',
    before: new Date(before),
    streams: data.streams,
    events: data.events,
    outputs: data.outputs,
    isArchived: data.isArchived,
    digest: data.digest,
    removedAt: new Date(at),
  };
}
