/** Turns a batch into one commit of the event store. Pure. */

import {
  type Context,
  type ContextEvent,
  decideContext,
  evolveContext,
} from '../../domain/context.ts';
import { decideExecution, type ExecutionCommand } from '../../domain/execution.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { OutputItem } from '../../domain/output.ts';
import { decideSession, type Session } from '../../domain/session.ts';
import type { Commit, QueueSize, StreamAppend } from '../../events/store/eventStore.ts';
import type { Batch, Segment } from './batch.ts';

/** The last stored state of a worker, without its executions. */
export interface StoredWorker {
  /** Null: it has none yet. */
  readonly session: Session | null;
  /** An open context of it. */
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
