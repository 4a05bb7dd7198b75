/**
 * What Cellhouse does, as the schema sees it. Every method validates its input (BAD_USER_INPUT names the field and the
 * limit) and throws {@link DomainError} for what a caller can act on.
 */

import type { RecordedEvent } from '../domain/events.ts';
import type { Execution } from '../domain/execution.ts';
import type { ExecutionId, SessionId, WorkerId } from '../domain/ids.ts';
import type { OutputItem, OutputPage } from '../domain/output.ts';
import type { PoolStatus } from '../domain/poolStatus.ts';
import type { Session } from '../domain/session.ts';
import type { Worker } from '../domain/worker.ts';
import type { Placed } from '../events/queries/listQueries.ts';

/** Who asks. One token and the tenant `default` for now. */
export interface Principal {
  readonly tenant: string;
}

export interface ExecuteRequest {
  readonly userUuid: string;
  readonly code: string;
  readonly timeoutMs?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
  readonly waitForWorkerMs?: number | null | undefined;
}

export interface BatchCell {
  readonly code: string;
  readonly timeoutMs?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

export interface BatchRequest {
  readonly userUuid: string;
  readonly cells: readonly BatchCell[];
  readonly stopOnError: boolean;
  readonly waitForWorkerMs?: number | null | undefined;
}

/** The pool at an earlier time. */
export interface PoolAt
  extends Pick<PoolStatus, 'totalWorkers' | 'busyWorkers' | 'idleWorkers' | 'startingWorkers'> {
  readonly at: Date;
  readonly workers: readonly Worker[];
}

/** A user's session at an earlier time. */
export interface SessionAt {
  readonly at: Date;
  readonly session: Session;
  /** Accepted by then and not over, as they are now. */
  readonly unfinished: readonly Execution[];
}

export interface PageRequest {
  readonly first?: number | null | undefined;
  /** A cursor: the version after which the page begins. */
  readonly after?: string | null | undefined;
}

export interface ListPage<T> {
  readonly edges: readonly Placed<T>[];
  readonly hasNextPage: boolean;
}

export interface ExecutionFilter {
  readonly userUuid?: string | null | undefined;
  readonly status?: Execution['status'] | null | undefined;
  /** Requested at this time or later. */
  readonly from?: Date | null | undefined;
  /** Requested before this time. */
  readonly to?: Date | null | undefined;
}

export interface SessionFilter {
  readonly userUuid?: string | null | undefined;
  readonly isOpen?: boolean | null | undefined;
}

/** Newest first, but for events, which are read in the order in which they were recorded. @throws BAD_USER_INPUT */
export interface Lists {
  executions(
    principal: Principal,
    filter: ExecutionFilter,
    page: PageRequest,
  ): Promise<ListPage<Execution>>;
  sessions(
    principal: Principal,
    filter: SessionFilter,
    page: PageRequest,
  ): Promise<ListPage<Session>>;
  workers(
    filter: { readonly states?: readonly Worker['state'][] | null | undefined },
    page: PageRequest,
  ): Promise<ListPage<Worker>>;
  events(
    filter: { readonly types?: readonly string[] | null | undefined },
    page: PageRequest,
  ): Promise<ListPage<RecordedEvent>>;
}

/** Many things in one read each; what is not there is left out. */
export interface Many {
  sessions(principal: Principal, ids: readonly SessionId[]): Promise<Session[]>;
  workers(ids: readonly WorkerId[]): Promise<Worker[]>;
  lastActiveAt(sessions: readonly Session[]): Promise<ReadonlyMap<SessionId, Date>>;
  /** Of pruned executions there is none; null: it does not fit into MAX_RESPONSE_BYTES with those before it. */
  codes(ids: readonly ExecutionId[]): Promise<ReadonlyMap<ExecutionId, string | null>>;
  /** Each page, in the order asked; null: it does not fit into MAX_RESPONSE_BYTES with those before it. */
  outputs(pages: readonly OutputPage[]): Promise<(readonly OutputItem[] | null)[]>;
}

/** What was true at a time, and how it came to be, from the events. Null: there is, or was, no such thing. */
export interface History {
  sessionAt(principal: Principal, userUuid: string, at: Date): Promise<SessionAt | null>;
  poolAt(at: Date): Promise<PoolAt>;
  workerEvents(workerId: string, page: PageRequest): Promise<ListPage<RecordedEvent> | null>;
  sessionEvents(
    principal: Principal,
    sessionId: string,
    page: PageRequest,
  ): Promise<ListPage<RecordedEvent> | null>;
}

export interface InterpreterService {
  readonly history: History;
  readonly lists: Lists;
  readonly many: Many;

  /**
   * Runs code and resolves when it has finished, on whichever gateway it runs. A caller that goes away ends nothing.
   * @param onAccepting called right before the request is recorded, with its id (again with another, if somebody was first):
   * until then nothing has happened
   */
  execute(
    principal: Principal,
    request: ExecuteRequest,
    onAccepting?: (id: ExecutionId) => void,
  ): Promise<Execution>;
  /**
   * Runs cells one after the other, all in one session; resolves with those that were run, in order.
   * @param run.stopping once aborted, no further cell is begun
   */
  executeBatch(
    principal: Principal,
    request: BatchRequest,
    run: { readonly stopping: AbortSignal; readonly onAccepting?: () => void },
  ): Promise<Execution[]>;
  /** Resolves when the request is durable. */
  submit(
    principal: Principal,
    request: ExecuteRequest,
    onAccepting?: (id: ExecutionId) => void,
  ): Promise<Execution>;
  /** Idempotent; resolves with the execution as it is once the interrupt has taken effect or the grace time is over. */
  interrupt(principal: Principal, executionId: string): Promise<Execution>;
  restartKernel(principal: Principal, userUuid: string): Promise<Session>;
  /** Null: there was no open session. */
  release(principal: Principal, userUuid: string): Promise<Session | null>;

  /** The user's open session, else the last one that was, else null. */
  session(principal: Principal, userUuid: string): Promise<Session | null>;
  /** Null for an unknown or malformed id, and for another tenant's. */
  execution(principal: Principal, id: string): Promise<Execution | null>;

  /**
   * Outputs after `after`, first what is stored, then live, ending with the finish. Pulled, never pushed: nothing is
   * buffered for a consumer that does not read. `return()` resolves at once, also while waiting.
   * @throws NOT_FOUND, BAD_USER_INPUT before the first item
   */
  followOutput(
    principal: Principal,
    executionId: string,
    after: number,
  ): Promise<AsyncIterableIterator<OutputItem>>;
  /** The same over all executions of a user, from now on or after `executionId:seq`. Never ends by itself. */
  followSessionOutput(
    principal: Principal,
    userUuid: string,
    after: string | null,
  ): Promise<AsyncIterableIterator<OutputItem>>;
  poolStatus(): Promise<PoolStatus>;
  /** The status now, then each change. */
  followPoolStatus(): AsyncIterableIterator<PoolStatus>;
}
