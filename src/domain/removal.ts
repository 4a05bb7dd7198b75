/**
 * A piece of history that was removed: pruned, because it was old, or forgotten with its user or tenant. Of what is
 * forgotten, the events stay without their content. The audit chain still holds.
 *
 * ```
 *  (none) --record--> RECORDED
 * ```
 * It is recorded in the transaction that removes, so there is no removal without an event, and no event without one.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { ExecutionId, RemovalId } from './ids.ts';

/** Who is forgotten: a user, or a tenant with all of its users. */
export type ForgottenScope = 'USER' | 'TENANT';

export type RemovalEvent =
  | Event<
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
         * The executions of which this has deleted what they kept, so that each gateway knows what became free. Left out
         * if there are none.
         */
        executionIds?: readonly ExecutionId[];
        /** Whether what was deleted was first written to a file. */
        isArchived: boolean;
        /** A hash over the positions of the deleted events, in hexadecimal (`src/events/chain/leaf.ts`). */
        digest: string;
      }
    >
  | Event<
      'DataForgotten',
      {
        removalId: RemovalId;
        scope: ForgottenScope;
        /** What the user or the tenant is called from now on. The former name is nowhere. */
        pseudonym: string;
        streams: number;
        /** How many events lost their content: those of `event_removals`. */
        events: number;
        /** How many outputs were deleted. */
        outputs: number;
        /** The executions that keep nothing any more. Left out if there are none. Their rows have the pseudonym. */
        executionIds?: readonly ExecutionId[];
        /** A hash over the positions of these events and what is left of each, in hexadecimal. */
        digest: string;
      }
    >;

/** The state that a removal's event folds into, which is also its row. */
export interface Removal {
  readonly id: RemovalId;
  readonly version: number;
  readonly reason: 'pruned' | 'forgotten';
  /** Null: whatever its age, because it was forgotten. */
  readonly before: Date | null;
  readonly streams: number;
  readonly events: number;
  readonly outputs: number;
  readonly isArchived: boolean;
  readonly digest: string;
  readonly removedAt: Date;
  /** Of the forgotten user or tenant. Null if it was pruned. */
  readonly pseudonym: string | null;
}

type DataOf<T extends RemovalEvent['type']> = Extract<RemovalEvent, { type: T }>['data'];

export type RemovalCommand =
  | ({ readonly type: 'RecordPruning' } & DataOf<'HistoryPruned'>)
  | ({ readonly type: 'RecordForgetting' } & DataOf<'DataForgotten'>);

/**
 * The events that a command on a removal records. Pure.
 * @throws WrongStateError if it is recorded already
 */
export function decideRemoval(command: RemovalCommand, removal: Removal | null): RemovalEvent[] {
  if (removal !== null) throw new WrongStateError('removal', 'recorded', command.type);
  if (command.type === 'RecordPruning') {
    const { type: _, ...data } = command;
    return [{ type: 'HistoryPruned', data }];
  }
  const { type: _, ...data } = command;
  return [{ type: 'DataForgotten', data }];
}

/**
 * The removal after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream has another beginning
 */
export function evolveRemoval(state: Removal | null, event: RemovalEvent): Removal {
  const version = (state?.version ?? 0) + 1;
  switch (event.type) {
    case 'HistoryPruned': {
      const { at, removalId: id, before, isArchived, executionIds: _, ...counts } = event.data;
      const times = { before: new Date(before), removedAt: new Date(at) };
      return { id, version, reason: 'pruned', ...counts, ...times, isArchived, pseudonym: null };
    }
    case 'DataForgotten': {
      const { at, removalId: id, scope: _s, executionIds: _e, pseudonym, ...counts } = event.data;
      const times = { before: null, removedAt: new Date(at) };
      const facts = { isArchived: false, pseudonym };
      return { id, version, reason: 'forgotten', ...counts, ...times, ...facts };
    }
    default:
      throw missingStart((event satisfies never as RemovalEvent).type);
  }
}

/** The types of events that say that history was removed. */
export const REMOVAL_TYPES: readonly RemovalEvent['type'][] = ['HistoryPruned', 'DataForgotten'];
