/**
 * Acts for one worker while this gateway holds its lease: runs its session's executions, and stores their output and
 * results. Each lane runs one execution at a time, in the order in which they were accepted. Lanes are independent of
 * each other, except that at most `maxCommands` commands run at the same time.
 *
 * ```
 *  connecting <--> open --session closed--> ending --all stored--> closed
 *       |            |
 *       +---fenced, close()--------------------------------------> closed   (another gateway continues)
 * ```
 * When an execution is done, the next one of its lane is chosen before the end of the first is stored. That is safe. If
 * this gateway dies in between, its successor reads the same messages again, beginning at the cursor, and makes the
 * same choices. The agent runs no execution twice.
 */
import type { Logger } from 'pino';
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { Context } from '../domain/context.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { Execution, ExecutionEvent, Queue } from '../domain/execution.ts';
import type { ContextId, ExecutionId, SessionId, WorkerId } from '../domain/ids.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { CloseReason, Session } from '../domain/session.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import type { UnfinishedExecution } from '../events/queries/executionQueries.ts';
import type { Cursor, EventStore } from '../events/store/eventStore.ts';
import type { CallAgent } from '../kernel/agent/createAgentCalls.ts';
import type { LaneKey } from './lanes.ts';
import type { EgressServer } from './workerEgress.ts';

export interface HeldWorkerDeps {
  readonly store: EventStore;
  readonly logger: Logger;
  readonly messageCounts: MessageCounts;
  readonly now: () => Date;
  readonly interruptGraceMs: number;
  /** How many commands of a session may run at the same time. */
  readonly maxCommands: number;
  /** The lane that an execution is in. It never changes. */
  readonly laneOf: (execution: Execution) => LaneKey;
  /** The number of clients that follow the execution's output on this gateway. */
  readonly followers: (execution: Execution) => number;
  readonly unfinishedOf: Queries['unfinishedStates'];
  readonly reloadExecution: (id: ExecutionId) => Promise<Execution | null>;
  /** The seq of the execution's last stored output; 0 if there is none. */
  readonly lastSeq: (id: ExecutionId) => Promise<number>;
  readonly reloadSession: (session: Session) => Promise<Session | null>;
  readonly reloadContexts: (ids: readonly ContextId[]) => Promise<readonly Context[]>;
  readonly variables: Queries['sessionVariables'];
  readonly executionVariables: Queries['executionVariables'];
  readonly readInput: Queries['inputIn'];
  /** Null: code may reach nothing outside its worker. */
  readonly egress: EgressServer | null;
  /** Called when another gateway has the lease. The held worker has closed itself. */
  readonly onFenced: (workerId: WorkerId) => void;
  /** Called when the agent has been unreachable for a while, or was restarted. The pool should check the worker. */
  readonly onSuspect: (workerId: WorkerId, why: string) => void;
  readonly onOpen: (workerId: WorkerId) => void;
}

export type InputSent = Extract<ExecutionEvent, { readonly type: 'InputSent' }>;

/** The recorded state of a worker when this gateway begins to act for it. */
export interface TakenOver {
  readonly workerId: WorkerId;
  readonly address: AgentAddress;
  readonly cursor: Cursor;
  readonly session: Session | null;
  /**
   * The open contexts other than the default one. They are read after `unfinished`, so a context that is missing here
   * has ended.
   */
  readonly contexts: readonly Context[];
  readonly unfinished: readonly UnfinishedExecution[];
  /** Requests for durable operations that may not have been answered yet. */
  readonly pending: readonly RecordedEvent[];
}

export interface HeldWorker {
  readonly workerId: WorkerId;
  /** Whether its agent is connected. */
  readonly isOpen: boolean;
  readonly isSuspect: boolean;
  /** The unfinished cells that may be running, at most one of each context. */
  readonly runningCells: readonly ExecutionId[];
  /** Whether the worker has an unfinished execution with this id that is a cell, not a command. */
  hasCell(id: ExecutionId): boolean;
  readonly sessionId: SessionId | null;
  /** The number of executions of the queue that are accepted and not finished. */
  unfinishedIn(queue: Queue): number;
  opened(session: Session): void;
  /**
   * Accepts a new execution. An execution that was already in {@link TakenOver.unfinished} is ignored: a lagging event
   * feed may report it again.
   */
  enqueue(execution: UnfinishedExecution): void;
  has(id: ExecutionId): boolean;
  /** Whether the worker has an open context with this id. */
  hasContext(id: ContextId): boolean;
  /**
   * Carries out the durable operation that `request` asks for: immediately, or as soon as the agent is reachable. A
   * request that is already known is ignored.
   */
  carryOut(request: RecordedEvent): void;
  /** Delivers input that was recorded for one of its executions. Input that is already known is ignored. */
  takeInput(recorded: RecordedEvent<InputSent>): void;
  /**
   * Calls the agent under the lease's epoch, for operations that need not survive this gateway. If the agent refuses
   * because another gateway has the worker, this calls {@link HeldWorker.lose}.
   */
  readonly call: CallAgent;
  /** Ends all executions of the closed session and keeps their output. Calling it again awaits the same end. */
  end(reason: CloseReason): Promise<void>;
  /** Another gateway has the lease: stops acting immediately, and stores and sends nothing more. */
  lose(): void;
  /** Stops acting without ending executions. Stores received output for up to `drainMs`; the agent keeps the rest. */
  close(drainMs: number): Promise<void>;
}
