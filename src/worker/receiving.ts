/** Handles the messages of a held worker's agent. */
import type { ContextCommand, ContextEndReason } from '../domain/context.ts';
import type { Ending } from '../domain/execution.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { ContextId } from '../domain/ids.ts';
import type { CloseReason } from '../domain/session.ts';
import { receive } from '../kernel/execution.ts';
import type { ContextMessage, KernelMessage, StatusMessage } from '../kernel/frames/messages.ts';
import { addOutput, endingOf, endingWithoutAnswer, type Job, segmentOf } from './batch.ts';
import type { InputDelivery } from './inputDelivery.ts';
import type { Lane, LaneKey, Lanes } from './lanes.ts';
import type { Sending } from './sending.ts';
import type { WorkerContexts, WorkerSession } from './workerState.ts';
import type { Writer } from './writer.ts';

// Handles changes of contexts, and adds their effects to the next commit.

interface ContextNewsDeps {
  readonly contexts: WorkerContexts;
  readonly lanes: Lanes;
  readonly writer: Pick<Writer, 'batch' | 'added'>;
  readonly sending: Pick<Sending, 'goOnIn'>;
  readonly finishing: Pick<Finishing, 'endLane'>;
}

export interface ContextNews {
  /**
   * Handles a message of the agent about a context. If the context has ended or was never requested, the message is
   * ignored.
   */
  receive(message: ContextMessage): void;
  /** The context's kernel is ready. */
  ready(id: ContextId, at: number): void;
  /** The context's kernel is being replaced. */
  kernelReplaced(id: ContextId, news: Pick<StatusMessage, 'at' | 'reason'>): void;
  /** The context has ended. Its unfinished executions end as CANCELLED, because the agent will not run them. */
  ended(id: ContextId, reason: ContextEndReason, at: Date): void;
}

export function createContextNews(deps: ContextNewsDeps): ContextNews {
  const { contexts, lanes, writer, sending, finishing } = deps;

  function record(contextId: ContextId, command: ContextCommand): void {
    writer.batch.contextFacts.push({ contextId, command });
    writer.added('end');
  }

  function ready(contextId: ContextId, at: number): void {
    const context = contexts.get(contextId);
    if (!context || contexts.isReady(contextId)) return;
    contexts.nowReady(contextId);
    const readyMs = Math.max(0, at - context.createdAt.getTime());
    record(contextId, { type: 'RecordContextStart', at: new Date(at).toISOString(), readyMs });
    const lane = lanes.at(contextId);
    if (lane) sending.goOnIn(lane);
  }

  function ended(contextId: ContextId, reason: ContextEndReason, at: Date): void {
    contexts.nowEnded(contextId);
    finishing.endLane(contextId);
    record(contextId, { type: 'EndContext', at: at.toISOString(), reason });
  }

  return {
    receive: ({ contextId, state, at }) => {
      const context = contexts.get(contextId);
      if (!context) return;
      const { id, status } = context;
      switch (state) {
        case 'ready':
          return ready(id, at);
        case 'ended':
          return ended(id, status === 'ENDING' ? 'deleted' : 'failed', new Date(at));
        case 'failed':
          // A context that was ready stays open. Its executions report that there was no kernel, and the next one gets
          // a new kernel.
          if (status === 'STARTING' && !contexts.isReady(id)) ended(id, 'failed', new Date(at));
          return;
        default:
          return state satisfies never;
      }
    },
    ready,
    kernelReplaced: (contextId, { at, reason }) => {
      if (!contexts.get(contextId)) return;
      const executionId = lanes.made(contextId).kernelReplaced();
      record(contextId, {
        type: 'RecordContextRestart',
        at: new Date(at).toISOString(),
        reason: reason ?? 'died',
        executionId,
      });
    },
    ended,
  };
}

interface ReceivingDeps {
  readonly lanes: Lanes;
  readonly writer: Pick<Writer, 'batch' | 'added'>;
  readonly session: Pick<WorkerSession, 'state'>;
  /** Takes the job out of its lane, and adds its end to the next commit. */
  readonly finish: (job: Job, ending: Ending, at: Date) => void;
  readonly sending: Pick<Sending, 'beginNext'>;
  readonly input: Pick<InputDelivery, 'begun'>;
  readonly contextNews: Pick<ContextNews, 'receive' | 'kernelReplaced'>;
}

/** Handles the worker's messages in order: finds the lane of each message, and adds its effects to the next commit. */
export function createReceiving(deps: ReceivingDeps): (message: KernelMessage) => void {
  const { lanes, writer, session, sending, finish, input, contextNews } = deps;

  function kernelReplaced({ at, reason, contextId }: StatusMessage): void {
    if (contextId !== null) {
      contextNews.kernelReplaced(contextId as ContextId, { at, reason });
      return;
    }
    // Before there is a session, no user has variables that could be lost.
    const executionId = session.state && lanes.defaultLane.kernelReplaced();
    writer.batch.kernelRestarts.push({ at: new Date(at), reason: reason ?? 'died', executionId });
    writer.added('output');
  }

  /**
   * Begins a command that the former holder has sent, even if all places for commands are taken here. Places may become
   * free in another order here than at the former holder. The agent's message shows that the command runs.
   */
  function begunBefore(lane: Lane): Job | undefined {
    const { next } = lane;
    if (!next?.isTakenOver || !isCommand(next.execution)) return undefined;
    lane.begin(next);
    return next;
  }

  function ofExecution(message: KernelMessage): void {
    const { parentId } = message;
    const lane = parentId === null ? lanes.defaultLane : lanes.laneOf(parentId);
    const job = lane && (lane.running ?? begunBefore(lane));
    const progress = job ? lane.progressOf(job) : null;
    if (!lane || !job || progress === null) return;
    const { maxOutputBytes } = job.execution;
    const of = { maxOutputBytes, isCommand: isCommand(job.execution) };
    const step = receive(progress, message, of);
    lane.advance(step.progress);
    const at = new Date(message.at);
    for (const output of step.outputs) addOutput(writer.batch, job, output, at);
    if (step.started) {
      const { executionCount, pid } = step;
      segmentOf(writer.batch, job).start = {
        at,
        ...(executionCount !== undefined && { executionCount }),
        ...(pid !== undefined && { pid }),
      };
      input.begun(job.execution);
    }
    if (step.done !== null) {
      finish(job, endingOf(step.done, job), at);
      sending.beginNext(lane);
    } else if (step.outputs.length > 0) writer.added('output');
    else if (step.started) writer.added('start');
  }

  return (message) => {
    writer.batch.seq = message.seq;
    if (message.type === 'status' && message.state === 'restarting') kernelReplaced(message);
    else if (message.type === 'context') contextNews.receive(message);
    else ofExecution(message);
  };
}

interface FinishingDeps {
  readonly lanes: Lanes;
  readonly contexts: Pick<WorkerContexts, 'isOpenFor'>;
  readonly writer: Writer;
  readonly sending: Sending;
  readonly input: Pick<InputDelivery, 'ended'>;
  readonly now: () => Date;
}

/**
 * Takes jobs out of their lanes, and adds their ends to the next commit. If a job has the option `stopOnError` and its
 * status is not OK, that commit also ends the executions that are queued behind it (`writer.ts`).
 */
export interface Finishing {
  finish(job: Job, ending: Ending, at: Date): void;
  /**
   * Ends a job as CANCELLED. The next job in its lane waits until the end is stored, so that no later holder can send
   * the cancelled code.
   */
  cancel(job: Job): void;
  /** Takes a job out of its lane, and discards all that is kept for it. The caller must add its end to the batch. */
  takeOut(job: Job): void;
  /**
   * Cancels the job if its context ended while the job was being accepted. Its code was never sent. Returns whether the
   * job was cancelled.
   */
  cancelIfTooLate(job: Job): boolean;
  /** Ends all jobs of a lane as CANCELLED, and forgets the lane. The agent will not run them. */
  endLane(key: LaneKey): void;
  /** Ends all jobs of a session that has ended. */
  finishAll(reason: CloseReason): void;
}

export function createFinishing(deps: FinishingDeps): Finishing {
  const { lanes, contexts, writer, sending, input, now } = deps;

  function takeOut(job: Job): void {
    lanes.remove(job);
    sending.endHoldBack(job.execution.id);
    input.ended(job.execution.id);
  }

  function end(job: Job, ending: Ending, at: Date): void {
    takeOut(job);
    segmentOf(writer.batch, job).end = { at, ending };
    writer.added('end');
  }

  /** Executions that wait for this job do not begin before its end is stored. */
  function endBeforeOthers(job: Job, ending: Ending, at: Date): void {
    const lane = lanes.laneOf(job.execution.id);
    const release = lanes.holdUp(job);
    if (stopsOthers(job, ending)) writer.batch.stops.push(job);
    end(job, ending, at);
    void writer.drained().then(() => {
      release();
      if (lane) sending.beginNext(lane);
    });
  }

  function finish(job: Job, ending: Ending, at: Date): void {
    (stopsOthers(job, ending) ? endBeforeOthers : end)(job, ending, at);
  }

  const unanswered = (job: Job, status: 'CANCELLED' | 'WORKER_LOST') =>
    endingWithoutAnswer(status, job.stateLost, lanes.progressOf(job));

  function cancel(job: Job): void {
    endBeforeOthers(job, unanswered(job, 'CANCELLED'), now());
  }

  return {
    finish,
    cancel,
    takeOut,
    cancelIfTooLate: (job) => {
      const isTooLate = !contexts.isOpenFor(job.execution);
      if (isTooLate) cancel(job);
      return isTooLate;
    },
    endLane: (key) => {
      for (const job of lanes.at(key)?.all() ?? [])
        finish(job, unanswered(job, 'CANCELLED'), now());
      lanes.forget(key);
    },
    finishAll: (reason) => {
      const isLost = reason === 'worker-lost';
      for (const job of lanes.jobs()) {
        if (isLost && !isCommand(job.execution)) job.stateLost = true;
        end(job, unanswered(job, isLost ? 'WORKER_LOST' : 'CANCELLED'), now());
      }
    },
  };
}

function stopsOthers({ execution }: Job, { status }: Ending): boolean {
  return execution.options?.stopOnError === true && status !== 'OK';
}
