/**
 * Acts for one worker while this gateway holds its lease: runs its session's executions one at a time in the order they were
 * accepted, and stores what comes back.
 *
 * ```
 *  connecting <--> open --session closed--> ending --all stored--> closed
 *       |            |
 *       +---fenced, close()--------------------------------------> closed   (nothing ended: a successor goes on)
 * ```
 * What runs next is decided the instant an execution is done, before that is stored: a successor replays the same messages
 * from the cursor and comes to the same decisions, and the agent runs no execution twice.
 */
import type { Logger } from 'pino';
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { Execution } from '../domain/execution.ts';
import type { ExecutionId, SessionId, WorkerId } from '../domain/ids.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { CloseReason, Session } from '../domain/session.ts';
import type { PendingCommand, UnfinishedExecution } from '../events/queries/queries.ts';
import type { Cursor, EventStore } from '../events/store/eventStore.ts';

export interface HeldWorkerDeps {
  readonly store: EventStore;
  readonly logger: Logger;
  readonly messageCounts: MessageCounts;
  readonly now: () => Date;
  readonly interruptGraceMs: number;
  /** How many follow the execution's output on this gateway. */
  readonly followers: (execution: Execution) => number;
  readonly reloadExecution: (id: ExecutionId) => Promise<Execution | null>;
  /** Of its stored outputs; 0 if none. */
  readonly lastSeq: (id: ExecutionId) => Promise<number>;
  readonly reloadSession: (session: Session) => Promise<Session | null>;
  /** The lease is another gateway's now; the held worker has closed itself. */
  readonly onFenced: (workerId: WorkerId) => void;
  /** No connection for a while, or the agent is not the one that was there: whoever keeps the pool should look. */
  readonly onSuspect: (workerId: WorkerId, why: string) => void;
  readonly onOpen: (workerId: WorkerId) => void;
}

export interface TakenOver {
  readonly workerId: WorkerId;
  readonly address: AgentAddress;
  readonly cursor: Cursor;
  readonly session: Session | null;
  readonly unfinished: readonly UnfinishedExecution[];
  readonly commands: readonly PendingCommand[];
}

export interface HeldWorker {
  readonly workerId: WorkerId;
  /** Connected: its agent answers. */
  readonly isOpen: boolean;
  readonly isSuspect: boolean;
  /** Executions accepted and not finished. */
  readonly unfinished: number;
  /** The one of them that its kernel was given; null: none. */
  readonly running: ExecutionId | null;
  readonly sessionId: SessionId | null;
  opened(session: Session): void;
  /** Accepts an execution, told of once; those that it began with are ignored: a feed that lags tells of them again. */
  enqueue(execution: UnfinishedExecution): void;
  has(id: ExecutionId): boolean;
  /**
   * Cancels a queued execution, interrupts a running one, replaces the kernel: at once, or as soon as its agent answers.
   * Known commands are ignored, too. @param recorded what asked for it
   */
  carryOut(command: PendingCommand, recorded: RecordedEvent): void;
  /** The session is closed: ends all its executions, keeping what they put out. Repeating it awaits the same end. */
  end(reason: CloseReason): Promise<void>;
  /** Its lease is another gateway's: stops acting at once, and stores and sends nothing more. */
  lose(): void;
  /** Stops acting, ends nothing. Stores what has come if `drainMs` allows it; the agent keeps the rest. */
  close(drainMs: number): Promise<void>;
}
