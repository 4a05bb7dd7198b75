/**
 * The removal of a part of the history, which was pruned because it was old, or forgotten with its user or tenant.
 * Forgotten events stay, without their content, so the audit chain can still be verified.
 *
 * ```
 *  (none) --record--> RECORDED
 * ```
 * A removal is recorded in the transaction that carries it out. So there is no removal without its event, and no event
 * without its removal.
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
        /** How many events were deleted. `event_removals` lists them. */
        events: number;
        outputs: number;
        /**
         * The executions that lost their stored content. Each gateway subtracts it from the stored bytes.
         * Left out if there are none.
         */
        executionIds?: readonly ExecutionId[];
        /** Whether the deleted rows were first written to a file. */
        isArchived: boolean;
        /** A hash over the positions of the deleted events, in hexadecimal (`src/events/chain/verifyChain.ts`). */
        digest: string;
      }
    >
  | Event<
      'DataForgotten',
      {
        removalId: RemovalId;
        scope: ForgottenScope;
        /** The name that replaces that of the user or tenant. The former name is not stored. */
        pseudonym: string;
        streams: number;
        /** How many events lost their content. `event_removals` lists them. */
        events: number;
        /** How many outputs were deleted. */
        outputs: number;
        /**
         * The executions whose stored content was deleted. Left out if there are none. Their rows have the pseudonym.
         */
        executionIds?: readonly ExecutionId[];
        /** A hash over the positions of these events and the data that each one still has, in hexadecimal. */
        digest: string;
      }
    >;

/** The state that a removal's event folds into, which is also its row. */
export interface Removal {
  readonly id: RemovalId;
  readonly version: number;
  readonly reason: 'pruned' | 'forgotten';
  /** Null if the history was forgotten, which does not depend on its age. */
  readonly before: Date | null;
  readonly streams: number;
  readonly events: number;
  readonly outputs: number;
  readonly isArchived: boolean;
  readonly digest: string;
  readonly removedAt: Date;
  /** The name that replaces that of the forgotten user or tenant. Null if the history was pruned. */
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
 * The removal after `event`. Pure. It accepts every event of a removal.
 * @throws Error for any other event
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
