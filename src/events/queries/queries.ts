/**
 * What can be asked of the tables. Every answer is what was committed when it was read: whoever acts on it commits with
 * the version (or guard) that it saw, and asks again on a ConcurrencyError. All is read from projections and outputs,
 * never folded from events, but for {@link HistoryQueries} and {@link CommandQueries}.
 */

import type { StreamKind } from '../../domain/entities.ts';
import type { RecordedEvent } from '../../domain/events.ts';
import type { Execution } from '../../domain/execution.ts';
import type { EventId, ExecutionId, PoolId, SessionId, WorkerId } from '../../domain/ids.ts';
import type { OutputItem, OutputPage } from '../../domain/output.ts';
import type { CloseReason, Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';

export interface Queries
  extends WorkerQueries,
    SessionQueries,
    ExecutionQueries,
    OutputQueries,
    CommandQueries,
    HistoryQueries,
    ListQueries,
    ManyQueries,
    UpkeepQueries {}

export interface WorkerQueries {
  worker(id: WorkerId): Promise<Worker | null>;
  /** In the order they were requested. */
  workersInStates(poolId: PoolId, states: readonly Worker['state'][]): Promise<Worker[]>;
  poolCounts(poolId: PoolId): Promise<PoolCounts>;
  /**
   * Idle workers to claim from, the `preferred` ones first, then the longest idle; at most `limit`. No lock is held: a
   * claim that loses a race gets a ConcurrencyError and tries the next.
   */
  idleWorkers(poolId: PoolId, preferred: readonly WorkerId[], limit: number): Promise<Worker[]>;
}

/** Workers by what they cost: all three add up to the pool's total. */
export interface PoolCounts {
  /** REQUESTED or STARTING. */
  readonly starting: number;
  readonly idle: number;
  readonly assigned: number;
}

export interface SessionQueries {
  session(id: SessionId): Promise<Session | null>;
  /** The user's open session; there is at most one. */
  openSession(tenant: string, userUuid: string): Promise<Session | null>;
  /** The user's session that was opened last, open or closed. */
  lastSession(tenant: string, userUuid: string): Promise<Session | null>;
  /** The open session that the worker serves. */
  openSessionOfWorker(workerId: WorkerId): Promise<Session | null>;
  /** Why the user's last closed session ended; null if none ever did. */
  previousCloseReason(tenant: string, userUuid: string): Promise<CloseReason | null>;
  /** All open ones, oldest first. */
  openSessions(): Promise<Session[]>;
  /** Open, nothing queued or running, and nothing requested, finished or opened at or after `before`; oldest first. */
  sessionsIdleSince(before: Date, limit: number): Promise<Session[]>;
  /** Open, and opened before `before`; oldest first. */
  sessionsOpenedBefore(before: Date, limit: number): Promise<Session[]>;
}

export interface ExecutionQueries {
  execution(id: ExecutionId): Promise<Execution | null>;
  /** Queued and running ones of the worker with their code, in the order they were accepted (commit order). */
  unfinishedExecutions(workerId: WorkerId): Promise<UnfinishedExecution[]>;
  /** The execution that holds the key; null if the key is unused (or expired and deleted). */
  idempotencyKey(
    tenant: string,
    userUuid: string,
    key: string,
  ): Promise<{ readonly executionId: ExecutionId; readonly codeSha256: string } | null>;
}

export interface UnfinishedExecution {
  readonly execution: Execution;
  readonly code: string;
  /** The last output stored; 0 if none. */
  readonly lastSeq: number;
}

/** What a user asked of a worker; `requestId` is the event that recorded it. */
export type PendingCommand =
  | { readonly type: 'interrupt'; readonly requestId: EventId; readonly executionId: ExecutionId }
  | { readonly type: 'restart'; readonly requestId: EventId };

export interface CommandQueries {
  /**
   * Every interrupt of an execution that has not ended, and every request for a fresh kernel that may not have been answered:
   * each may have been sent to the agent already.
   */
  pendingCommands(workerId: WorkerId): Promise<PendingCommand[]>;
}

export interface OutputBounds {
  readonly limit: number;
  /** Of the stored JSON bodies (UTF-8). The first item is given even if it alone is larger. */
  readonly maxBytes: number;
}

export interface OutputQueries {
  /** Outputs with a seq above `after`, in order, the finish included. */
  outputs(executionId: ExecutionId, after: number, bounds: OutputBounds): Promise<OutputItem[]>;
  /** The last seq stored (0: none), and whether it is the finish. */
  outputEnd(executionId: ExecutionId): Promise<OutputEnd>;
  /**
   * Outputs of all the user's executions after `after` (null: from the very first), in the order in which the executions
   * were accepted and by seq within each. What a later execution put out is held back until the finish of the earlier
   * one was given, so that a cursor never passes anything (a queued execution can be cancelled while an earlier runs).
   */
  userOutputs(
    tenant: string,
    userUuid: string,
    after: OutputCursor | null,
    bounds: OutputBounds,
  ): Promise<OutputItem[]>;
  /**
   * The cursor "from now on": what {@link userOutputs} would give next has not been stored yet. Null: the user has no
   * executions, and null is the cursor.
   */
  userOutputEnd(tenant: string, userUuid: string): Promise<OutputCursor | null>;
}

export interface OutputEnd {
  readonly lastSeq: number;
  readonly isFinished: boolean;
}

export interface OutputCursor {
  readonly executionId: ExecutionId;
  readonly seq: number;
}

/** What was true at a time, folded from the events recorded by then (by the database's clock). */
export interface HistoryQueries {
  /** The session that the user had open at `at`; null: none, or its events were pruned. */
  sessionAt(tenant: string, userUuid: string, at: Date): Promise<Session | null>;
  /** All workers of the pool that were requested and not yet removed, in the order they were requested. */
  workersAt(poolId: PoolId, at: Date): Promise<Worker[]>;
  /** Executions of the session accepted by `at` and not over then (by the gateways' clocks), as they are now. */
  unfinishedAt(sessionId: SessionId, at: Date): Promise<Execution[]>;
  /** Events of one stream with a version above `afterVersion`, in order; at most `limit`. */
  streamPage(
    kind: StreamKind,
    id: string,
    afterVersion: number,
    limit: number,
  ): Promise<RecordedEvent[]>;
}

/** An item and where it stands in its list. */
export interface Placed<T> {
  readonly item: T;
  readonly cursor: string;
}

/** Pages of lists, newest first (events: oldest first). A filter that is null filters nothing. */
export interface ListQueries {
  /** `before`: the position of an ExecutionRequested. `from` is included, `to` is not. */
  executionPage(
    filter: {
      readonly tenant: string;
      readonly userUuid: string | null;
      readonly status: Execution['status'] | null;
      readonly from: Date | null;
      readonly to: Date | null;
    },
    before: number | null,
    limit: number,
  ): Promise<Placed<Execution>[]>;
  /** By id, thus by the time of their making. */
  sessionPage(
    filter: {
      readonly tenant: string;
      readonly userUuid: string | null;
      readonly isOpen: boolean | null;
    },
    before: string | null,
    limit: number,
  ): Promise<Placed<Session>[]>;
  workerPage(
    filter: { readonly poolId: PoolId; readonly states: readonly Worker['state'][] | null },
    before: string | null,
    limit: number,
  ): Promise<Placed<Worker>[]>;
  eventPage(
    types: readonly string[] | null,
    after: number,
    bounds: EventBounds,
  ): Promise<BoundedPage<RecordedEvent>>;
}

export interface EventBounds {
  readonly limit: number;
  /** Of the events' data as JSON (UTF-8). The first is given even if it alone is larger. */
  readonly maxBytes: number;
}

/** At most `limit` items, and fewer when that would be more than `maxBytes`. */
export interface BoundedPage<T> {
  readonly edges: Placed<T>[];
  /** Whether `maxBytes`, not `limit`, ended it. */
  readonly isCut: boolean;
}

/** Many things by their ids in one read each, in no order; what is not there is left out. */
export interface ManyQueries {
  sessions(ids: readonly SessionId[]): Promise<Session[]>;
  workers(ids: readonly WorkerId[]): Promise<Worker[]>;
  /** The latest of: an execution requested, an execution finished; null: there was none. */
  lastActivity(ids: readonly SessionId[]): Promise<ReadonlyMap<SessionId, Date | null>>;
  /**
   * The code as it was requested, every character of it. Of all together, in the order of `ids`, at most `maxBytes` of UTF-8;
   * null: beyond that. Left out: its events were pruned.
   */
  codes(
    ids: readonly ExecutionId[],
    maxBytes: number,
  ): Promise<ReadonlyMap<ExecutionId, string | null>>;
  /**
   * Each page in order, in the order of `pages`. Of all together at most `maxBytes` of the stored JSON bodies (UTF-8); a page
   * that does not fit into what is left is null, never a part, whether its execution is over or not.
   */
  outputPages(
    pages: readonly OutputPage[],
    maxBytes: number,
  ): Promise<(readonly OutputItem[] | null)[]>;
}

export interface UpkeepQueries {
  /**
   * This database's pool, made at the first call; it keeps the engine it was made with. The caller refuses to go on when
   * `engineId` is not its own.
   */
  poolIdentity(engineId: string): Promise<PoolIdentity>;
  /** Forgets keys whose execution was requested before `before`. Resolves with their number. */
  deleteIdempotencyKeys(before: Date): Promise<number>;
  /** Forgets cursors and leases of workers that are removed, or were never recorded. Resolves with their number. */
  deleteRemovedWorkersCursors(): Promise<number>;
}

export interface PoolIdentity {
  readonly poolId: PoolId;
  readonly engineId: string;
  readonly createdAt: Date;
}
