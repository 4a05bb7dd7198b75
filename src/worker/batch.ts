/**
 * Gathers the facts and output that a worker has sent and that are not stored yet: the content of the next commit.
 * Adjacent pieces of the same stream are joined, because rows cost more than bytes. Pieces with a piece of the other
 * stream between them are not joined, so the order is kept.
 */
import {
  type Context,
  type ContextCommand,
  type ContextEvent,
  decideContext,
  evolveContext,
} from '../domain/context.ts';
import {
  decideExecution,
  type Ending,
  type EndStatus,
  type Execution,
  type ExecutionCommand,
} from '../domain/execution.ts';
import { unknownFiles } from '../domain/executionFiles.ts';
import type { UserExpression } from '../domain/executionOptions.ts';
import type { ContextId, ExecutionId } from '../domain/ids.ts';
import { type Output, type OutputItem, outputSize, type StreamOutput } from '../domain/output.ts';
import { decideSession, type KernelRestartReason, type Session } from '../domain/session.ts';
import type { Commit, QueueSize, StreamAppend } from '../events/store/eventStore.ts';
import {
  type ExecutionOutcome,
  type ExecutionProgress,
  storedOutputBytes,
} from '../kernel/execution.ts';

/** A stored stream piece does not grow beyond this many characters by joining. */
const MAX_JOINED_CHARS = 64 * 1024;

/** One execution that a worker has accepted and that has not ended. */
export interface Job {
  /** The execution as last stored. */
  execution: Execution;
  readonly code: string;
  /** The expressions that are evaluated after the code. Absent: there are none. */
  readonly userExpressions?: readonly UserExpression[];
  /**
   * Whether the execution was recorded before this gateway took over the worker. Then the former holder may have sent
   * its code to the agent.
   */
  readonly isTakenOver: boolean;
  /** Seq of the next output event. */
  nextSeq: number;
  /** Whether the kernel was replaced after this execution was accepted, or since the previous execution ended. */
  stateLost: boolean;
}

/** The part of the next commit that is about one execution. */
export interface Segment {
  readonly job: Job;
  readonly outputs: { output: Output; readonly at: Date }[];
  /** When it began, with the cell's number or the command's process id if the agent has reported it. */
  start: { readonly at: Date; readonly executionCount?: number; readonly pid?: number } | null;
  end: { readonly at: Date; readonly ending: Ending } | null;
  /** When an interrupt was requested. Absent: no interrupt was requested. */
  interruptedAt?: Date;
}

export interface Batch {
  readonly segments: Segment[];
  readonly kernelRestarts: {
    readonly at: Date;
    readonly reason: KernelRestartReason;
    readonly executionId: ExecutionId | null;
  }[];
  /** The changes of contexts other than the default one, in order. */
  readonly contextFacts: { readonly contextId: ContextId; readonly command: ContextCommand }[];
  /** The jobs in this batch whose end also ends the executions that are queued behind them. */
  readonly stops: Job[];
  /** Roughly the number of bytes to store. The limits for flushing early and for pausing the channel refer to it. */
  size: number;
  /** The highest seq of the agent in this batch. Null: no message had a seq. */
  seq: number | null;
}

export function emptyBatch(): Batch {
  return { segments: [], kernelRestarts: [], contextFacts: [], stops: [], size: 0, seq: null };
}

/** The batch's segment for `job`. It is created if there is none. */
export function segmentOf(batch: Batch, job: Job): Segment {
  const found = batch.segments.find((each) => each.job === job);
  if (found) return found;
  const segment: Segment = { job, outputs: [], start: null, end: null };
  batch.segments.push(segment);
  return segment;
}

export function addOutput(batch: Batch, job: Job, output: Output, at: Date): void {
  const { outputs } = segmentOf(batch, job);
  const last = outputs.at(-1);
  if (
    last &&
    output.kind === 'stream' &&
    last.output.kind === 'stream' &&
    canJoin(last.output, output)
  ) {
    last.output = { ...output, text: last.output.text + output.text };
    batch.size += output.text.length;
  } else {
    outputs.push({ output, at });
    batch.size += outputSize(output);
  }
}

/** A piece with bytes that are not UTF-8 is never joined. */
function canJoin(first: StreamOutput, second: StreamOutput): boolean {
  if (first.base64 !== undefined || second.base64 !== undefined) return false;
  return first.name === second.name && first.text.length + second.text.length <= MAX_JOINED_CHARS;
}

// How executions end: with an answer from the worker, or without one.

/** Derives the ending from the reply to an execution. If the kernel cannot reply, the agent replies in its place. */
export function endingOf(outcome: ExecutionOutcome, job: Job): Ending {
  // An execution that was interrupted before the kernel began it counts as cancelled.
  const isCancelled = outcome.status === 'INTERRUPTED' && outcome.startedAt === null;
  return {
    status: isCancelled ? 'CANCELLED' : outcome.status,
    executionCount: outcome.executionCount,
    errorName: outcome.errorName,
    errorValue: outcome.errorValue,
    stateLost: outcome.stateLost || job.stateLost,
    truncated: outcome.truncated,
    cpuMs: outcome.cpuMs,
    peakMemoryBytes: outcome.peakMemoryBytes,
    outputBytes: outcome.outputBytes,
    storedOutputBytes: outcome.storedOutputBytes,
    exitCode: outcome.exitCode,
    ...(outcome.signal !== null && { signal: outcome.signal }),
    // An execution that never began has changed no files, and its files were not compared.
    files: outcome.startedAt === null ? null : outcome.files,
  };
}

/**
 * The ending of an execution that gets no reply, because it was cancelled or its worker is gone.
 * @param progress null if the execution never reached the kernel
 */
export function endingWithoutAnswer(
  status: Extract<EndStatus, 'CANCELLED' | 'WORKER_LOST'>,
  stateLost: boolean,
  progress: ExecutionProgress | null,
): Ending {
  return {
    status,
    executionCount: null,
    errorName: null,
    errorValue: null,
    stateLost,
    truncated: progress?.isTruncated ?? false,
    cpuMs: null,
    peakMemoryBytes: null,
    outputBytes: progress?.producedBytes ?? 0,
    storedOutputBytes: progress === null ? 0 : storedOutputBytes(progress),
    exitCode: null,
    files:
      progress === null
        ? null
        : unknownFiles(status === 'WORKER_LOST' ? 'worker-lost' : 'session-ended'),
  };
}

// Turns a batch into one commit of the event store. Pure.

/** The last stored state of a worker, without its executions. */
export interface StoredWorker {
  /** Null: the worker has no session yet. */
  readonly session: Session | null;
  /** An open context of the worker. */
  context(id: ContextId): Context | undefined;
}

/** For a worker that has ended: only its executions are left. */
export const ENDED_WORKER: StoredWorker = { session: null, context: () => undefined };

/** @param knownQueues the queues in which the batch ends waiting executions ({@link addStopped}) */
export function batchCommit(
  batch: Batch,
  { session, context }: StoredWorker,
  knownQueues: readonly QueueSize[] = [],
): Commit {
  const streams: StreamAppend[] = batch.segments.map(executionAppend).filter(hasEvents);
  if (session !== null) streams.push(...[sessionAppend(batch, session)].filter(hasEvents));
  const ids = new Set(batch.contextFacts.map(({ contextId }) => contextId));
  for (const id of ids) {
    const state = context(id);
    // A context without a state has ended, either with its session or before.
    if (state) streams.push(...[contextAppend(batch, state)].filter(hasEvents));
  }
  const outputs = batch.segments.flatMap(outputItems);
  return { streams, outputs, ...(knownQueues.length > 0 && closedQueues(knownQueues, session)) };
}

/**
 * The sizes of the queues, and a guard of the session. A commit that accepts an execution guards the session, too. So
 * the two commits are serialised. A session that has ended accepts no executions, so it needs no guard.
 */
function closedQueues(knownQueues: readonly QueueSize[], session: Session | null) {
  const openSessions =
    session?.closedAt === null ? [{ id: session.id, version: session.version }] : [];
  return { knownQueues, openSessions };
}

function executionAppend({ job, start, end, interruptedAt }: Segment): StreamAppend {
  const { execution } = job;
  const started = start && { ...start, at: start.at.toISOString() };
  const command: ExecutionCommand | null = end
    ? { type: 'FinishExecution', at: end.at.toISOString(), start: started, ending: end.ending }
    : interruptedAt
      ? { type: 'RequestInterrupt', at: interruptedAt.toISOString() }
      : started !== null
        ? { type: 'RecordStart', ...started }
        : null;
  const events = command ? decideExecution(command, execution) : [];
  return { stream: 'execution', id: execution.id, state: execution, events };
}

function sessionAppend(batch: Batch, session: Session): StreamAppend {
  const events = batch.kernelRestarts.flatMap(({ at, reason, executionId }) =>
    decideSession(
      { type: 'RecordKernelRestart', at: at.toISOString(), reason, executionId },
      session,
    ),
  );
  return { stream: 'session', id: session.id, state: session, events };
}

function contextAppend({ contextFacts }: Batch, state: Context): StreamAppend {
  const events: ContextEvent[] = [];
  let after = state;
  for (const { contextId, command } of contextFacts) {
    if (contextId !== state.id) continue;
    const next = decideContext(command, after);
    after = next.reduce(evolveContext, after);
    events.push(...next);
  }
  return { stream: 'context', id: state.id, state, events };
}

function hasEvents(append: StreamAppend): boolean {
  return append.events.length > 0;
}

/**
 * The outputs, numbered from the job's next seq; a finish comes last. An execution that somebody else has already ended
 * gets no more outputs.
 */
function outputItems({ job, outputs, end }: Segment): OutputItem[] {
  if (job.execution.finishedAt !== null) return [];
  const executionId = job.execution.id;
  const items: OutputItem[] = outputs.map(({ output, at }, index) => ({
    executionId,
    seq: job.nextSeq + index,
    at,
    output,
  }));
  if (end === null) return items;
  const seq = job.nextSeq + items.length;
  return [...items, { executionId, seq, at: end.at, output: { kind: 'finish' } }];
}
