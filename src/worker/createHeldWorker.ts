/** Creates a held worker from its parts. */
import { within } from '../async/within.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { Queue } from '../domain/execution.ts';
import { isCommand } from '../domain/executionOptions.ts';
import type { ContextId, ExecutionId, SessionId, WorkerId } from '../domain/ids.ts';
import type { CloseReason, Session } from '../domain/session.ts';
import type { UnfinishedExecution } from '../events/queries/executionQueries.ts';
import type { CallAgent } from '../kernel/agent/createAgentCalls.ts';
import type { KernelMessage } from '../kernel/frames/messages.ts';
import { type AgentLink, openAgentLink } from './agentLink.ts';
import type { Job } from './batch.ts';
import type { HeldWorker, HeldWorkerDeps, InputSent, TakenOver } from './heldWorker.ts';
import { createInputDelivery, type InputDelivery } from './inputDelivery.ts';
import { createLanes, DEFAULT_LANE, type Lanes, laneOfContext } from './lanes.ts';
import {
  createPendingOperations,
  type OperatedWorker,
  operationOf,
  type PendingOperations,
} from './operations.ts';
import {
  type ContextNews,
  createContextNews,
  createFinishing,
  createReceiving,
  type Finishing,
} from './receiving.ts';
import {
  createSending,
  createVariableDelivery,
  type Sending,
  type SendingDeps,
  type VariableDelivery,
} from './sending.ts';
import { createWorkerEgress, type WorkerEgress } from './workerEgress.ts';
import {
  createWorkerContexts,
  createWorkerSession,
  type WorkerContexts,
  type WorkerSession,
} from './workerState.ts';
import { addStopped, createWriter, reloadSegments, type Writer } from './writer.ts';

/** Starts acting for the worker immediately. */
export function createHeldWorker(deps: HeldWorkerDeps, start: TakenOver): HeldWorker {
  return new Held(deps, start);
}

/**
 * Connects the parts: the link to the agent, the handling of its messages, the sending of code and input, and the
 * storing of results.
 */
class Held implements HeldWorker, OperatedWorker {
  readonly workerId: WorkerId;
  readonly lanes: Lanes;
  readonly contexts: WorkerContexts;
  readonly contextNews: ContextNews;
  readonly now: () => Date;
  readonly #deps: HeldWorkerDeps;
  readonly #writer: Writer;
  readonly #link: AgentLink;
  readonly #pending: PendingOperations;
  readonly #variables: VariableDelivery;
  readonly #input: InputDelivery;
  readonly #conversation: Conversation;
  readonly #session: WorkerSession;
  readonly #egress: WorkerEgress;
  #isClosed = false;
  #ending: Promise<void> | null = null;

  constructor(deps: HeldWorkerDeps, start: TakenOver) {
    this.#deps = deps;
    this.workerId = start.workerId;
    this.now = deps.now;
    const { address, cursor } = start;
    this.#session = createWorkerSession(start.session, deps.reloadSession);
    this.contexts = createWorkerContexts(start.contexts, deps.reloadContexts);
    this.lanes = createLanes({
      ...start,
      laneOf: deps.laneOf,
      kernelRestartedAt: (lane) =>
        lane === DEFAULT_LANE
          ? this.#session.kernelRestartedAt
          : this.contexts.kernelRestartedAt(lane),
    });
    const recorded = { session: this.#session, contexts: this.contexts, lanes: this.lanes };
    this.#egress = createWorkerEgress(deps.egress, address, cursor.epoch, deps.logger);
    this.#writer = createWorkerWriter(
      {
        ...deps,
        ...recorded,
        link: () => this.#link,
        takeOut: (job) => this.#conversation.finishing.takeOut(job),
        onLost: () => this.lose(),
      },
      start,
    );
    this.#link = openAgentLink(
      {
        ...deps,
        onMessage: (message) => this.#conversation.receive(message),
        onOpen: (workerId) => {
          this.#conversation.sending.goOn();
          deps.onOpen(workerId);
        },
        onFenced: () => this.lose(),
      },
      start,
    );
    this.#pending = createPendingOperations(deps.logger, async (request) =>
      operationOf(request.event.type)?.carryOut(this, request),
    );
    this.#variables = createVariableDelivery({
      logger: deps.logger,
      call: this.call,
      read: deps.variables,
      readOfExecution: deps.executionVariables,
      onGiven: () => this.#conversation.sending.goOn(),
    });
    const isRunning = (id: ExecutionId) => this.lanes.hasBegun(id);
    this.#input = createInputDelivery({ ...deps, call: this.call, isRunning });
    this.#conversation = createConversation({
      ...recorded,
      writer: this.#writer,
      now: this.now,
      input: this.#input,
      isLinked: () => this.isOpen && this.isActing,
      maySend: () => this.isOpen && this.isActing && this.#variables.isDone,
      send: (request) => this.#link.execute(request),
      valuesOf: (id) => this.#variables.valuesOf(id),
      isInterruptPending: (id) => this.#pending.has('InterruptRequested', id),
      interruptGraceMs: deps.interruptGraceMs,
      maxCommands: deps.maxCommands,
    });
    this.contextNews = this.#conversation.contextNews;
    for (const request of start.pending) this.#pending.add(request);
    if (start.session === null) return;
    this.#variables.begin(start.session);
    this.#egress.begin(start.session);
    const { finishing } = this.#conversation;
    for (const job of this.lanes.jobs())
      if (!finishing.cancelIfTooLate(job)) this.#input.begun(job.execution);
  }

  get isOpen(): boolean {
    return this.#link.isOpen && !this.#isClosed;
  }

  get isSuspect(): boolean {
    return this.#link.isSuspect;
  }

  get isActing(): boolean {
    return !this.#isClosed && !this.#link.isReplaced;
  }

  get runningCells(): readonly ExecutionId[] {
    const ids = this.lanes.running().map(({ execution }) => execution.id);
    return ids.filter((id) => this.hasCell(id));
  }

  get sessionId(): SessionId | null {
    return this.#session.state?.id ?? null;
  }

  unfinishedIn(queue: Queue): number {
    const { ofCommands } = this.lanes;
    return queue === 'commands' ? ofCommands.size : this.lanes.countIn(laneOfContext(queue));
  }

  opened(session: Session): void {
    const isNew = this.sessionId !== session.id;
    this.#session.put(session);
    if (!isNew) return;
    this.#variables.begin(session);
    this.#egress.begin(session);
  }

  enqueue(next: UnfinishedExecution): void {
    const lane = this.#isClosed ? null : this.lanes.add(next);
    const job = lane && this.lanes.find(next.execution.id);
    const { finishing, sending } = this.#conversation;
    if (job && !finishing.cancelIfTooLate(job)) sending.beginNext(lane);
  }

  hasContext(id: ContextId): boolean {
    return this.contexts.get(id) !== undefined;
  }

  hasCell(id: ExecutionId): boolean {
    const job = this.lanes.find(id);
    return job !== undefined && !isCommand(job.execution);
  }

  has(id: ExecutionId): boolean {
    return this.lanes.find(id) !== undefined;
  }

  carryOut(request: RecordedEvent): void {
    this.lanes.fold(request);
    this.#session.fold(request);
    this.contexts.fold(request);
    this.#pending.add(request);
  }

  takeInput(recorded: RecordedEvent<InputSent>): void {
    this.lanes.fold(recorded);
    const { offset, bytes, close: isClosed } = recorded.event.data;
    const id = recorded.streamId as ExecutionId;
    this.#input.recorded(id, { bytes: offset + bytes, isClosed });
  }

  readonly call: CallAgent = (name, input) => this.#link.call(name, input);

  endHoldBack(id: ExecutionId): boolean {
    return this.#conversation.sending.endHoldBack(id);
  }

  cancel(job: Job): void {
    this.#conversation.finishing.cancel(job);
  }

  end(reason: CloseReason): Promise<void> {
    this.#ending ??= this.#isClosed ? Promise.resolve() : this.#end(reason);
    return this.#ending;
  }

  lose(): void {
    if (this.#isClosed) return;
    void this.#stop();
    this.#writer.stop();
    this.#deps.onFenced(this.workerId);
  }

  async close(drainMs: number): Promise<void> {
    await this.#stop();
    await within(drainMs, this.#writer.drained(), () => undefined);
    this.#writer.stop();
  }

  async #end(reason: CloseReason): Promise<void> {
    await this.#stop();
    this.#conversation.finishing.finishAll(reason);
    await this.#writer.drained();
    this.#writer.stop();
  }

  /** Sends and receives nothing more. Idempotent. */
  async #stop(): Promise<void> {
    this.#isClosed = true;
    this.#pending.close();
    this.#variables.close();
    this.#input.close();
    this.#egress.close();
    await this.#link.close();
  }
}

interface ConversationDeps extends SendingDeps {
  readonly session: WorkerSession;
  readonly contexts: WorkerContexts;
  readonly writer: Writer;
  readonly input: Pick<InputDelivery, 'begun' | 'ended'>;
  readonly now: () => Date;
}

/** The messages between this gateway and one worker's agent, and their effects. */
interface Conversation {
  readonly sending: Sending;
  readonly finishing: Finishing;
  readonly contextNews: ContextNews;
  readonly receive: (message: KernelMessage) => void;
}

export function createConversation(deps: ConversationDeps): Conversation {
  const sending = createSending(deps);
  const finishing = createFinishing({ ...deps, sending });
  const contextNews = createContextNews({ ...deps, sending, finishing });
  const receive = createReceiving({ ...deps, sending, contextNews, finish: finishing.finish });
  return { sending, finishing, contextNews, receive };
}

interface WorkerWriterDeps extends HeldWorkerDeps {
  readonly session: WorkerSession;
  readonly contexts: WorkerContexts;
  readonly lanes: Lanes;
  /** A function, because the link is created after the writer. */
  readonly link: () => AgentLink;
  readonly takeOut: Finishing['takeOut'];
  readonly onLost: () => void;
}

/**
 * The writer of one worker. It stores the cursor with each commit, and then acknowledges the stored messages to the
 * agent.
 */
function createWorkerWriter(
  {
    store,
    messageCounts,
    logger,
    followers,
    session,
    contexts,
    lanes,
    link,
    takeOut,
    onLost,
    ...reading
  }: WorkerWriterDeps,
  { workerId, cursor: { epoch, seq: storedSeq } }: TakenOver,
): Writer {
  const stopping = {
    lanes,
    takeOut,
    readUnfinished: () => reading.unfinishedOf(workerId),
    next: () => writer.batch,
    now: reading.now,
  };
  const writer = createWriter(
    {
      store,
      messageCounts,
      logger,
      stored: () => ({ session: session.state, context: contexts.get }),
      addStopped: (batch) => addStopped(stopping, batch),
      cursor: () => ({ workerId, epoch, bootId: link().bootId, progress: lanes.progress }),
      reload: async ({ segments, contextFacts }) => {
        await reloadSegments(reading, segments);
        await session.reload();
        await contexts.reload([...new Set(contextFacts.map(({ contextId }) => contextId))]);
      },
      onStored: ({ seq, session: stored, contexts: changed }) => {
        if (stored !== null) session.put(stored);
        for (const context of changed) contexts.put(context);
        if (seq !== null) link().ack(seq);
      },
      onFenced: onLost,
      followers: () => Math.max(0, ...lanes.running().map(({ execution }) => followers(execution))),
      holdBack: (isHeld) => (isHeld ? link().pause() : link().resume()),
    },
    storedSeq,
  );
  return writer;
}
