/**
 * Requests of users that need the worker's agent. The gateway that holds the worker carries them out. Each request is
 * an event, and is sent again until the agent has answered.
 */
import type { Logger } from 'pino';
import { untilDone } from '../async/untilDone.ts';
import { BoundedMap } from '../domain/boundedMap.ts';
import type { Context, ContextEndReason } from '../domain/context.ts';
import { messageOf } from '../domain/errors.ts';
import type { DomainEvent, RecordedEvent } from '../domain/events.ts';
import type { ContextId, EventId, ExecutionId } from '../domain/ids.ts';
import type { RequestRule } from '../events/queries/executionQueries.ts';
import type { CallAgent } from '../kernel/agent/createAgentCalls.ts';
import { refusalCode } from '../kernel/channel/kernelErrors.ts';
import type { Job } from './batch.ts';
import type { Lanes } from './lanes.ts';
import type { ContextNews } from './receiving.ts';
import type { WorkerContexts } from './workerState.ts';

/** The codes of refusals that may be temporary. Null: the agent did not answer, or gave no code. */
const TRANSIENT_CODES: ReadonlySet<string | null> = new Set([
  null,
  'internal',
  'busy',
  'unavailable',
  'timed_out',
]);

/** Whether creating a context may succeed if the agent is asked again. False: no kernel can be started for it now. */
function isTransientRefusal(error: unknown): boolean {
  return TRANSIENT_CODES.has(refusalCode(error));
}

/**
 * An operation on a worker that must survive the gateway that accepted the request. It consists of the event that
 * requests it, the event that answers it, and the work of the gateway that holds the worker
 * (docs/decisions/0013-commands-are-events.md).
 */
interface DurableOperation extends RequestRule {
  /**
   * Resolves when the agent has answered, or need not be asked. It is called again after a rejection. The event's id is
   * the call's `requestId`, because the former holder may have sent the same request already.
   */
  carryOut(worker: OperatedWorker, request: RecordedEvent): Promise<void>;
}

/** The parts of a held worker that a durable operation may use. */
export interface OperatedWorker {
  readonly lanes: Pick<Lanes, 'find' | 'progressOf' | 'at'>;
  readonly contexts: Pick<WorkerContexts, 'get' | 'isOpen'>;
  /** Records the facts about a context that the agent gives in its answer to a call. */
  readonly contextNews: Pick<ContextNews, 'ready' | 'ended' | 'kernelReplaced'>;
  readonly call: CallAgent;
  /** False: this gateway no longer acts for the worker, or the agent was restarted. */
  readonly isActing: boolean;
  /** Stops holding back the execution's code. Returns whether the code was held back until now. */
  endHoldBack(id: ExecutionId): boolean;
  /** Ends one of the worker's jobs as CANCELLED. The job's code is never sent. */
  cancel(job: Job): void;
  readonly now: () => Date;
}

type EventOf<Type extends DomainEvent['type']> = Extract<DomainEvent, { readonly type: Type }>;

/** Returns `row` unchanged. The type of the event that `row.carryOut` receives follows from `row.request`. */
function durableOperation<Type extends DomainEvent['type']>(
  row: RequestRule & {
    readonly request: Type;
    carryOut(worker: OperatedWorker, request: RecordedEvent<EventOf<Type>>): Promise<void>;
  },
): DurableOperation {
  return row;
}

/** Creates the recorded context in the worker. The agent reports the outcome on the channel, too. */
const createContext = durableOperation({
  request: 'ContextCreated',
  answer: { type: 'ContextStarted', answers: 'all' },
  carryOut: async (worker, { event, metadata: { eventId } }) => {
    const { contextId, workingDirectory } = event.data;
    // If the context is being deleted, its deletion ends it, whether it was created or not. A failed context is not
    // created again.
    if (!isStarting(worker, contextId)) return;
    try {
      await worker.call('contexts', { contextId, workingDirectory });
      worker.contextNews.ready(contextId, worker.now().getTime());
    } catch (error: unknown) {
      if (!isStarting(worker, contextId)) return;
      if (isTransientRefusal(error)) throw error;
      await fail(worker, contextId, eventId);
    }
  },
});

function isStarting({ contexts }: OperatedWorker, id: ContextId): boolean {
  return contexts.isOpen(id) && contexts.get(id)?.status === 'STARTING';
}

/** Deletes the context before it records the failure. Otherwise, a late request could still create the context. */
async function fail(worker: OperatedWorker, contextId: ContextId, requestId: string) {
  await worker.call('delete_context', { contextId, requestId });
  await endContext(worker, contextId, { reason: 'failed', requestId });
}

/**
 * Records the end of a context that the agent does not have any more. The agent may have reported the end to a former
 * holder, or never had the context.
 * @throws Error if the agent has yet to report the end of an execution that began before the context's kernel was gone.
 * The operation is then tried again later
 */
async function endContext(
  worker: OperatedWorker,
  contextId: ContextId,
  { reason, requestId }: { readonly reason: ContextEndReason; readonly requestId: string },
): Promise<void> {
  if (!worker.contexts.isOpen(contextId)) return;
  for (const job of worker.lanes.at(contextId)?.all() ?? []) {
    if (!job.isTakenOver && worker.lanes.progressOf(job) === null) continue;
    const { known } = await worker.call('interrupt', { msgId: job.execution.id, requestId });
    if (known && worker.lanes.find(job.execution.id))
      throw new Error('The agent has yet to report the end of an execution of this context.');
  }
  if (worker.contexts.isOpen(contextId)) worker.contextNews.ended(contextId, reason, worker.now());
}

/** Ends the context. The agent reports the end of the context and of its executions on the channel, too. */
const deleteContext = durableOperation({
  request: 'ContextDeleteRequested',
  answer: { type: 'ContextEnded', answers: 'all' },
  carryOut: async (worker, { streamId, metadata: { eventId: requestId } }) => {
    const contextId = streamId as ContextId;
    await worker.call('delete_context', { contextId, requestId });
    await endContext(worker, contextId, { reason: 'deleted', requestId });
  },
});

/** Replaces the kernel of a context. Two simultaneous requests may be answered by one new kernel. */
const restartContext = durableOperation({
  request: 'ContextRestartRequested',
  answer: { type: 'ContextRestarted', data: { reason: 'user' }, answers: 'at-least-one' },
  carryOut: async (worker, { streamId, metadata: { eventId: requestId } }) => {
    const contextId = streamId as ContextId;
    try {
      await worker.call('restart', { requestId, contextId });
    } catch (error: unknown) {
      const code = refusalCode(error);
      // The agent has reported that the old kernel is gone, but it could not start a new one. The next request for the
      // context tries again.
      if (code === 'no_kernel') return;
      const context = worker.contexts.get(contextId);
      if (code !== 'no_context') throw error;
      if (!context || context.status === 'ENDING') return;
      await makeAgain(worker, context);
    }
  },
});

/** Starts a kernel for a context that has none, because an earlier start failed. */
async function makeAgain(
  worker: OperatedWorker,
  { id: contextId, workingDirectory }: Context,
): Promise<void> {
  try {
    await worker.call('contexts', { contextId, workingDirectory });
  } catch (error: unknown) {
    // If this start fails, too, for example because the folder is gone, the next execution tries again.
    if (isTransientRefusal(error)) throw error;
  }
  worker.contextNews.kernelReplaced(contextId, { at: worker.now().getTime(), reason: 'user' });
}

/** Replaces the kernel of the default context. Two simultaneous requests may be answered by one new kernel. */
const restartKernel = durableOperation({
  request: 'KernelRestartRequested',
  answer: { type: 'KernelRestarted', data: { reason: 'user' }, answers: 'at-least-one' },
  carryOut: async ({ call }, { metadata }) => {
    await call('restart', { requestId: metadata.eventId });
  },
});

/** Cancels a queued execution, or interrupts a running one. */
const interrupt = durableOperation({
  request: 'InterruptRequested',
  answer: { type: 'ExecutionFinished', answers: 'all' },
  carryOut: async (worker, { streamId, metadata, event }) => {
    const { lanes } = worker;
    const id = streamId as ExecutionId;
    const job = lanes.find(id);
    if (!job) return;
    // Neither this gateway nor the former holder has sent the code.
    if (!job.isTakenOver && lanes.progressOf(job) === null) return worker.cancel(job);
    const { signal } = event.data;
    const { known } = await worker.call('interrupt', {
      msgId: id,
      requestId: metadata.eventId,
      ...(signal !== undefined && { signal }),
    });
    const isUnsent = worker.endHoldBack(id) || lanes.progressOf(job) === null;
    if (!known && isUnsent && worker.isActing && lanes.find(id)) worker.cancel(job);
  },
});

/** All durable operations. An operation that need not survive a gateway is a plain call ({@link HeldWorker.call}). */
export const DURABLE_OPERATIONS: readonly DurableOperation[] = [
  interrupt,
  restartKernel,
  createContext,
  restartContext,
  deleteContext,
];

/** The operation that an event of this type requests, if any. */
export function operationOf(type: DomainEvent['type']): DurableOperation | undefined {
  return DURABLE_OPERATIONS.find(({ request }) => request === type);
}

/**
 * Avoids a tight loop. If the agent does not answer for a long time, the worker's channel reports it (`onUnreachable`).
 */
const RETRY_DELAY_MS = 500;
/**
 * How many event ids are remembered, so that repeated requests are ignored. Repeats come within seconds, so fewer would
 * do.
 */
const MAX_REMEMBERED = 1_000;

/**
 * The requests for durable operations that the agent has not answered yet. Each is recorded before any gateway acts on
 * it. The gateway that holds the worker sends it until it is answered. If that gateway dies, the next holder sends it
 * again. That is safe, because the agent carries out a request with the same event id only once.
 */
export interface PendingOperations {
  /** Begins immediately. A request that is already known is ignored, so several sources may report it. */
  add(request: RecordedEvent): void;
  /** Whether a request of this type on this stream is unanswered. */
  has(type: DomainEvent['type'], streamId: string): boolean;
  /** Sends nothing more. The worker's next holder continues. */
  close(): void;
}

/** @param carryOut resolves when the agent has answered, or need not be asked */
export function createPendingOperations(
  logger: Logger,
  carryOut: (request: RecordedEvent) => Promise<void>,
): PendingOperations {
  const closing = new AbortController();
  const known = new BoundedMap<EventId, true>(MAX_REMEMBERED);
  const unanswered = new Set<RecordedEvent>();

  async function untilAnswered(request: RecordedEvent): Promise<void> {
    await untilDone(
      closing.signal,
      () => carryOut(request),
      (error) => {
        const details = { error: messageOf(error), request: request.event.type };
        logger.warn(details, 'an agent did not answer; asking it again');
        return RETRY_DELAY_MS;
      },
    );
  }

  return {
    add: (request) => {
      const { eventId } = request.metadata;
      if (closing.signal.aborted || known.has(eventId)) return;
      known.set(eventId, true);
      unanswered.add(request);
      void untilAnswered(request).finally(() => unanswered.delete(request));
    },
    has: (type, streamId) =>
      [...unanswered].some((each) => each.event.type === type && each.streamId === streamId),
    close: () => closing.abort(),
  };
}
