import type { Logger } from 'pino';
import type { RecordedEvent } from '../../domain/events.ts';
import type { NewId } from '../../domain/ids.ts';
import { schemaVersionOf } from '../../domain/upcasts.ts';
import type { Client } from '../connection/client.ts';
import type { FreshOutputs } from '../outputs/freshOutputs.ts';
import type { CommitResult } from './commitParameters.ts';
import { createCommitQueue } from './commitQueue.ts';
import { commitError, isRefusal } from './databaseErrors.ts';
import {
  AskerGoneError,
  type Committed,
  DatabaseAwayError,
  type EventStore,
  type OnCommitted,
} from './eventStore.ts';
import { type PreparedCommit, prepareCommit } from './preparedCommit.ts';
import { createQuotaCounts } from './quotaCounts.ts';
import { readLastPosition } from './readEvents.ts';
import { sendGroup } from './sendGroup.ts';

export interface EventStoreDeps {
  /** A client for commits alone. It has one connection, so only one group is under way at a time. */
  readonly commits: Client;
  readonly reads: Client;
  readonly gatewayId: string;
  readonly newId: NewId;
  readonly logger: Logger;
  readonly onCommitted: OnCommitted;
  readonly freshOutputs: FreshOutputs;
}

export interface ClosableEventStore extends EventStore {
  /** Refuses new commits. Resolves when the waiting ones are done or have been given up. Idempotent. */
  close(): Promise<void>;
}

/** The event store on PostgreSQL. */
export function createEventStore(deps: EventStoreDeps): ClosableEventStore {
  const { reads, gatewayId, newId } = deps;
  const closing = new AbortController();
  const quotaCounts = createQuotaCounts();
  const queue = createCommitQueue(commitGroup, isRefusal);

  /** The result is null for a commit whose asker is no longer let in. */
  async function commitGroup(group: readonly PreparedCommit[]): Promise<(Committed | null)[]> {
    const { commits: client, logger, freshOutputs } = deps;
    const sending = { client, gatewayId, quotaCounts, logger, closing: closing.signal };
    const { result, committed } = await sendGroup(group, sending);
    if (result === null) return group.map(() => null);
    const outcomes = toCommitted(committed, result, gatewayId);
    if (result.quotas) quotaCounts.learn(result.quotas, lastPositionOf(committed, result));
    for (const prepared of committed) freshOutputs.stored(prepared);
    deps.onCommitted(
      outcomes.flatMap(({ events }) => events),
      {
        executionIds: committed.flatMap(({ commit }) =>
          (commit.outputs ?? []).map(({ executionId }) => executionId),
        ),
        sessionIds: result.outputSessionIds ?? [],
      },
    );
    if (committed.length === group.length) return outcomes;
    return group.map((prepared) => outcomes[committed.indexOf(prepared)] ?? null);
  }

  return {
    commit: async (commit) => {
      if (closing.signal.aborted) throw new Error('The event store is closed.');
      const prepared = prepareCommit(commit, newId);
      const committed = await queue.push(prepared).catch((error: unknown) => {
        throw commitError(error);
      });
      if (committed !== null) return committed;
      if (commit.asker?.isOver) throw new AskerGoneError();
      throw new DatabaseAwayError(Math.round(performance.now() - prepared.askedAt));
    },
    lastPosition: () => readLastPosition(reads),
    close: async () => {
      closing.abort();
      await queue.drained();
    },
  };
}

function lastPositionOf(group: readonly PreparedCommit[], { firstPosition }: CommitResult): number {
  return group.reduce((position, { events }) => position + events.length, (firstPosition ?? 1) - 1);
}

/** Positions count up from the first one, in the order in which the group was sent. */
function toCommitted(
  group: readonly PreparedCommit[],
  result: CommitResult,
  gatewayId: string,
): Committed[] {
  let position = result.firstPosition ?? 0;
  const recordedAt = new Date(result.committedAt);
  return group.map(({ commit: { actor = null }, events, states }) => ({
    states,
    events: events.map(({ kind, id, version, event, ...ids }): RecordedEvent => {
      const { eventId, causationId, correlationId } = ids;
      const recorded: RecordedEvent = {
        position,
        streamKind: kind,
        streamId: id,
        version,
        schemaVersion: schemaVersionOf(event.type),
        event,
        metadata: { eventId, gatewayId, causationId, correlationId, actor },
        recordedAt,
      };
      position += 1;
      return recorded;
    }),
  }));
}
