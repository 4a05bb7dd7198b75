/**
 * The door to everything durable. A commit is one atomic step: events of any number of streams, the projection rows they
 * fold into, output, a worker's cursor, an idempotency key. It either happens whole or throws.
 */

import type { EntityState, EventOf, StateOf, StreamKind } from '../../domain/entities.ts';
import { DomainError } from '../../domain/errors.ts';
import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import type { EventId, ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';

/** New events for one stream, decided on `state` (null: the stream must not exist yet). */
export type StreamAppend = { [K in StreamKind]: AppendTo<K> }[StreamKind];

interface AppendTo<K extends StreamKind> {
  readonly stream: K;
  readonly id: StateOf<K>['id'];
  readonly state: StateOf<K> | null;
  readonly events: readonly EventOf<K>[];
}

/** How far a worker's messages are stored, and by which lease epoch. */
export interface Cursor {
  readonly workerId: WorkerId;
  /** The writer's lease epoch; a commit with an older one is refused ({@link FencedError}). */
  readonly epoch: number;
  readonly bootId: string;
  /** The last agent `seq` whose effects this commit (or an earlier one) holds. */
  readonly seq: number;
  /** What a successor needs to go on within the running execution; opaque here, JSON. */
  readonly progress: unknown;
}

export interface IdempotencyClaim {
  readonly tenant: string;
  readonly userUuid: string;
  readonly key: string;
  readonly codeSha256: string;
  readonly executionId: ExecutionId;
}

export interface Commit {
  readonly streams: readonly StreamAppend[];
  /** Sessions that must be open still at exactly this version, though nothing is appended to them. */
  readonly openSessions?: readonly { readonly id: SessionId; readonly version: number }[];
  readonly outputs?: readonly OutputItem[];
  readonly cursor?: Cursor;
  readonly idempotency?: IdempotencyClaim;
  /** How many executions may be queued or running, with the new ones, in each session that gets one ({@link LimitError}). */
  readonly maxUnfinished?: number;
  /** How many workers the pool may have that are not over, with the new ones ({@link LimitError}). */
  readonly maxWorkers?: number;
  /** Sessions that this changes must have nothing unfinished, and nothing that finished at this time or later ({@link SessionInUseError}). */
  readonly idleSince?: Date;
  /** What caused these events. `first-event`: the first of this very commit caused all its others. */
  readonly causationId?: EventId | 'first-event';
}

export interface Committed {
  /** In the order of the streams and their events. */
  readonly events: readonly RecordedEvent[];
  /** The states after, in the order of `streams`. */
  readonly states: readonly EntityState[];
}

/** Somebody else was first. Read again and decide again. */
export class ConcurrencyError extends Error {
  /** What was contended: a stream's version, a guarded session, the user's one open session, an idempotency key. */
  readonly on: 'stream' | 'session' | 'open-session' | 'idempotency-key';
  constructor(on: ConcurrencyError['on'], options?: ErrorOptions) {
    super(`Another writer was first (${on}).`, options);
    this.name = 'ConcurrencyError';
    this.on = on;
  }
}

/** A session that should have been idle since a time was used since then ({@link Commit.idleSince}); nothing was written. */
export class SessionInUseError extends Error {
  constructor(options?: ErrorOptions) {
    super('The session was used meanwhile.', options);
    this.name = 'SessionInUseError';
  }
}

/** This gateway's lease on the worker was taken over: it must stop acting for it, and nothing was written. */
export class FencedError extends Error {
  readonly workerId: WorkerId;
  constructor(workerId: WorkerId) {
    super(`The lease on worker ${workerId} was taken over by another gateway.`);
    this.name = 'FencedError';
    this.workerId = workerId;
  }
}

/** The commit would have exceeded one of its limits, be it together with another gateway's; nothing was written. */
export class LimitError extends Error {
  readonly limit: 'maxUnfinished' | 'maxWorkers';
  /** How many there would have been. */
  readonly count: number;
  constructor(limit: LimitError['limit'], count: number, options?: ErrorOptions) {
    super(`There would be ${count} (${limit}).`, options);
    this.name = 'LimitError';
    this.limit = limit;
    this.count = count;
  }
}

/** What a caller is told to wait before it asks again: a database that is back is found within about that. */
const RETRY_AFTER_MS = 1_000;

/** The database has not answered for a named time. What should have been written may have been written or not. */
export class DatabaseAwayError extends DomainError {
  constructor(waitedMs: number, options?: ErrorOptions) {
    super(
      'DATABASE_UNAVAILABLE',
      `The database has not answered for ${waitedMs} ms. What this call asked for may have been done or not: send it again, and with the same \`idempotencyKey\` it is done once.`,
      { retryAfterMs: RETRY_AFTER_MS },
      options,
    );
    this.name = 'DatabaseAwayError';
  }
}

export interface EventStore {
  /**
   * Appends. Commits that wait at the same time share one transaction; each still succeeds or fails on its own. Resolves
   * once the commit is durable (`synchronous_commit`). Safe to repeat after a lost connection: events are recognised by
   * their ids.
   * @throws ConcurrencyError, SessionInUseError, FencedError, LimitError, or (the database is away, after a named limit) DatabaseAwayError
   */
  commit(commit: Commit): Promise<Committed>;
  /** The last position there is; 0 if none. */
  lastPosition(): Promise<number>;
}

/** Called after each group of commits of this very process, in commit order, before `commit` resolves. */
export type OnCommitted = (
  events: readonly RecordedEvent<DomainEvent>[],
  outputs: OutputsAdded,
) => void;

/** Whose outputs grew. */
export interface OutputsAdded {
  readonly executionIds: readonly string[];
  readonly sessionIds: readonly string[];
}
