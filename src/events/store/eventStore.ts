/**
 * The interface of the event store. A commit is atomic: it contains events of any number of streams, the projection
 * rows that follow from them, outputs, a worker's cursor and an idempotency key. Either all of it is written, or
 * `commit` throws.
 */

import type { EntityState, EventOf, StateOf, StreamKind } from '../../domain/entities.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { Actor, DomainEvent, RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import type { EventId, ExecutionId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import type { QuotaLimits } from '../../domain/quota.ts';

/** New events for one stream, decided on `state`. Null means that the stream must not exist yet. */
export type StreamAppend = { [K in StreamKind]: AppendTo<K> }[StreamKind];

interface AppendTo<K extends StreamKind> {
  readonly stream: K;
  readonly id: StateOf<K>['id'];
  readonly state: StateOf<K> | null;
  readonly events: readonly EventOf<K>[];
}

/** How far a worker's messages are stored, and the lease epoch that stored them. */
export interface Cursor {
  readonly workerId: WorkerId;
  /** The writer's lease epoch; a commit with an older one is refused ({@link FencedError}). */
  readonly epoch: number;
  readonly bootId: string;
  /** The agent's `seq` of the last message whose effects are stored by this commit or an earlier one. */
  readonly seq: number;
  /** JSON that the next gateway needs to continue the running execution. The store does not look into it. */
  readonly progress: unknown;
}

export interface IdempotencyClaim {
  readonly tenant: string;
  readonly userUuid: string;
  readonly key: string;
  /** Keyed hashes of the request's fields, as the service compares them. The store does not look into it. */
  readonly requestHash: string;
  readonly executionId: ExecutionId;
}

export interface SessionVariables {
  readonly sessionId: SessionId;
  /** By name. Neither names nor values contain U+0000 or lone surrogates. */
  readonly values: Readonly<Record<string, string>>;
}

export interface ExecutionVariables {
  readonly executionId: ExecutionId;
  /** By name. Neither names nor values contain U+0000 or lone surrogates. */
  readonly values: Readonly<Record<string, string>>;
}

/** The number of unfinished executions in the queue of `of`, itself included (see `queueOf`). */
export interface QueueSize {
  readonly of: Execution;
  readonly count: number;
}

/** Input that is in no event. */
export interface SecretInput {
  readonly executionId: ExecutionId;
  /** As in its event. */
  readonly offset: number;
  readonly bytes: Buffer;
}

/** The quotas that apply to the opening of a session or the request of an execution. */
export interface CommitQuotas {
  /** Those of the tenant, of the user, or of both. */
  readonly of: readonly QuotaLimits[];
  /** How many commands of a session run at the same time. The others are queued. */
  readonly maxCommands: number;
}

export interface Commit {
  readonly streams: readonly StreamAppend[];
  /** Sessions that must still be open at exactly this version, although nothing is appended to them. */
  readonly openSessions?: readonly { readonly id: SessionId; readonly version: number }[];
  readonly outputs?: readonly OutputItem[];
  readonly cursor?: Cursor & {
    /**
     * The seq of the cursor that this one replaces. If another one is stored, the database lacks commits of this
     * gateway ({@link FencedError}). Left out: it is not compared.
     */
    readonly previousSeq?: number;
  };
  readonly idempotency?: IdempotencyClaim;
  /** The environment variables of a session that this commit opens. No event has them. */
  readonly sessionVariables?: SessionVariables;
  /** The environment variables of an execution that this commit requests. No event has them. */
  readonly executionVariables?: ExecutionVariables;
  /** The content of the secret input that this commit records. No event has it. */
  readonly secretInput?: SecretInput;
  /** The most unfinished executions that a queue of a session may have, the new ones included ({@link LimitError}). */
  readonly maxUnfinished?: number;
  /** Before the commit, none of these queues may have more unfinished executions than given ({@link LimitError}). */
  readonly knownQueues?: readonly QueueSize[];
  /**
   * The execution that this commit adds must be the first of the session's default context. Otherwise another writer
   * was first ({@link ConcurrencyError}, `session`).
   */
  readonly isFirstExecution?: boolean;
  /** The most workers that the pool may have, the new ones included and ended ones excluded ({@link LimitError}). */
  readonly maxWorkers?: number;
  /**
   * The sessions that this commit changes must not have been used since this time, by the same rules as in
   * `idleSessions()` (`sessionQueries.ts`, {@link SessionInUseError}).
   */
  readonly idleSince?: Date;
  /** Quotas that must hold with what this commit adds ({@link QuotaError}). */
  readonly quotas?: CommitQuotas;
  /** The event that caused these events. `first-event`: the first event of this commit caused all its others. */
  readonly causationId?: EventId | 'first-event';
  /** Who caused all its events. Absent: a gateway by itself. */
  readonly actor?: Actor;
  /**
   * The caller whose token must still be valid when the commit is sent ({@link AskerGoneError}). Absent: no such
   * condition.
   */
  readonly asker?: Asker;
}

/** A caller whose commit begins something new. The caller's token may end before the commit is sent. */
export interface Asker {
  /** Whether the caller's token has ended. */
  readonly isOver: boolean;
  /** Null if `isOver` is up to date. Otherwise a promise that resolves when it is. */
  fresh(): Promise<void> | null;
}

export interface Committed {
  /** In the order of the streams and their events. */
  readonly events: readonly RecordedEvent[];
  /** The states after the commit, in the order of `streams`. */
  readonly states: readonly EntityState[];
}

/** Another writer was first, and nothing was written. The caller must read and decide again. */
export class ConcurrencyError extends Error {
  /**
   * What both writers wanted to change: a stream, a guarded session, the user's one open session, an idempotency key,
   * or the slot or the name of a context.
   */
  readonly on: 'stream' | 'session' | 'open-session' | 'idempotency-key' | 'context';
  constructor(on: ConcurrencyError['on'], options?: ErrorOptions) {
    super(`Another writer was first (${on}).`, options);
    this.name = 'ConcurrencyError';
    this.on = on;
  }
}

/** The session was used after {@link Commit.idleSince}, so it is not idle. Nothing was written. */
export class SessionInUseError extends Error {
  constructor(options?: ErrorOptions) {
    super('The session was used meanwhile.', options);
    this.name = 'SessionInUseError';
  }
}

/**
 * Another gateway took over the lease on the worker, or the database lacks commits of this gateway for the worker.
 * Nothing was written, and this gateway must stop acting for the worker.
 */
export class FencedError extends Error {
  readonly workerId: WorkerId;
  constructor(workerId: WorkerId) {
    super(
      `Worker ${workerId} was taken over by another gateway, or the database lacks commits of this one.`,
    );
    this.name = 'FencedError';
    this.workerId = workerId;
  }
}

/** The commit would have exceeded a limit, alone or together with commits of other gateways. Nothing was written. */
export class LimitError extends Error {
  readonly limit: 'maxUnfinished' | 'maxWorkers';
  /** How many unfinished executions or workers there would have been. For `knownQueues`: how many there are. */
  readonly count: number;
  constructor(limit: LimitError['limit'], count: number, options?: ErrorOptions) {
    super(`The commit would raise the number to ${count}, which is above ${limit}.`, options);
    this.name = 'LimitError';
    this.limit = limit;
    this.count = count;
  }
}

/**
 * The token of the commit's asker has ended, so the caller may begin nothing new. Nothing was written, except perhaps
 * by an earlier attempt.
 */
export class AskerGoneError extends Error {
  constructor() {
    super('The token of the commit has ended.');
    this.name = 'AskerGoneError';
  }
}

/** The database has not taken a commit within a time limit. The commit may have been written or not. */
export class DatabaseAwayError extends DomainError {
  constructor(waitedMs: number, options?: ErrorOptions) {
    super(
      'DATABASE_UNAVAILABLE',
      `The database has not taken this for ${waitedMs} ms. This call may have taken effect or not. Send it again: with the same \`idempotencyKey\` it takes effect only once.`,
      { retryAfterMs: RETRY_AFTER_MS },
      options,
    );
    this.name = 'DatabaseAwayError';
  }
}

export interface EventStore {
  /**
   * Writes a commit. Commits that wait at the same time share one transaction, but each succeeds or fails on its own.
   * Resolves once the commit is durable (`synchronous_commit`). After a lost connection it is sent again. Its event ids
   * show whether it was written already.
   * @throws ConcurrencyError, SessionInUseError, FencedError, LimitError, QuotaError or AskerGoneError;
   * DatabaseAwayError if the database stays away
   */
  commit(commit: Commit): Promise<Committed>;
  /** Position of the newest event; 0 if there is none. */
  lastPosition(): Promise<number>;
}

/**
 * Called after each group of this process's own commits, in commit order, before `commit` resolves.
 * @param previousEventId the event before the first of `events`: null if there is none, undefined if it is not known
 */
export type OnCommitted = (
  events: readonly RecordedEvent<DomainEvent>[],
  outputs: OutputsAdded,
  previousEventId: string | null | undefined,
) => void;

/** The executions and sessions whose outputs grew. */
export interface OutputsAdded {
  readonly executionIds: readonly string[];
  readonly sessionIds: readonly string[];
}
