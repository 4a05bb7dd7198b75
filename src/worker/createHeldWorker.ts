import { within } from '../async/within.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { ExecutionId, SessionId, WorkerId } from '../domain/ids.ts';
import type { CloseReason, Session } from '../domain/session.ts';
import type { UnfinishedExecution } from '../events/queries/executionQueries.ts';
import type { CallAgent } from '../kernel/calls/createAgentCalls.ts';
import type { KernelMessage } from '../kernel/frames/messages.ts';
import { type AgentLink, openAgentLink } from './agentLink.ts';
import { createFinishing, type Finishing } from './finishing.ts';
import type { HeldWorker, HeldWorkerDeps, TakenOver } from './heldWorker.ts';
import type { LaneKey } from './lanes/laneKey.ts';
import { createLanes, type Lanes } from './lanes/lanes.ts';
import type { OperatedWorker } from './operations/durableOperation.ts';
import { operationOf } from './operations/durableOperations.ts';
import { createPendingOperations, type PendingOperations } from './operations/pendingOperations.ts';
import { createReceiving } from './receiving.ts';
import { createSending, type Sending } from './sending.ts';
import type { Job } from './storing/batch.ts';
import type { Writer } from './storing/writer.ts';
import { createVariableDelivery, type VariableDelivery } from './variableDelivery.ts';
import { createWorkerSession, type WorkerSession } from './workerSession.ts';
import { createWorkerWriter } from './workerWriter.ts';

/** Starts acting for the worker immediately. */
export function createHeldWorker(deps: HeldWorkerDeps, start: TakenOver): HeldWorker {
  return new Held(deps, start);
}

/** Joins the parts: the link to the agent, what comes from it, what goes to it, and what is stored. */
class Held implements HeldWorker, OperatedWorker {
  readonly workerId: WorkerId;
  readonly lanes: Lanes;
  readonly #deps: HeldWorkerDeps;
  readonly #writer: Writer;
  readonly #link: AgentLink;
  readonly #pending: PendingOperations;
  readonly #variables: VariableDelivery;
  readonly #sending: Sending;
  readonly #finishing: Finishing;
  readonly #receive: (message: KernelMessage) => void;
  readonly #session: WorkerSession;
  #isClosed = false;
  #ending: Promise<void> | null = null;

  constructor(deps: HeldWorkerDeps, start: TakenOver) {
    this.#deps = deps;
    this.workerId = start.workerId;
    const session = createWorkerSession(start.session, deps.reloadSession);
    const { kernelRestartedAt } = session;
    const lanes = createLanes({ ...start, laneOf: deps.laneOf, kernelRestartedAt });
    const [link, onLost] = [() => this.#link, () => this.lose()];
    const writer = createWorkerWriter({ ...deps, session, lanes, link, onLost }, start);
    this.#link = this.#openLink(start);
    this.#pending = createPendingOperations({
      logger: deps.logger,
      carryOut: async (request) => operationOf(request.event.type)?.carryOut(this, request),
    });
    this.#variables = createVariableDelivery({
      logger: deps.logger,
      call: this.call,
      read: deps.variables,
      onGiven: () => this.#sending.goOn(),
      onRefused: () => this.#link.suspect('its agent is too old for environment variables'),
    });
    const sending = this.#createSending(lanes);
    this.#finishing = createFinishing({ lanes, writer, sending, now: deps.now });
    const { finish } = this.#finishing;
    this.#receive = createReceiving({ lanes, session, writer, sending, finish });
    this.#session = session;
    this.lanes = lanes;
    this.#writer = writer;
    this.#sending = sending;
    for (const request of start.pending) this.#pending.add(request);
    if (start.session) this.#variables.begin(start.session);
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

  get running(): readonly ExecutionId[] {
    return this.lanes.running().map(({ execution }) => execution.id);
  }

  get sessionId(): SessionId | null {
    return this.#session.state?.id ?? null;
  }

  unfinishedIn(lane: LaneKey): number {
    return this.lanes.countIn(lane);
  }

  opened(session: Session): void {
    const isNew = this.sessionId !== session.id;
    this.#session.put(session);
    if (isNew) this.#variables.begin(session);
  }

  enqueue(next: UnfinishedExecution): void {
    const lane = this.#isClosed ? null : this.lanes.add(next);
    if (lane) this.#sending.beginNext(lane);
  }

  has(id: ExecutionId): boolean {
    return this.lanes.find(id) !== undefined;
  }

  carryOut(request: RecordedEvent): void {
    this.lanes.fold(request);
    this.#session.fold(request);
    this.#pending.add(request);
  }

  readonly call: CallAgent = (name, input) => this.#link.call(name, input);

  endHoldBack(id: ExecutionId): boolean {
    return this.#sending.endHoldBack(id);
  }

  cancel(job: Job): void {
    this.#finishing.cancel(job);
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
    this.#finishing.finishAll(reason);
    await this.#writer.drained();
    this.#writer.stop();
  }

  /** Sends and receives nothing more. Idempotent. */
  async #stop(): Promise<void> {
    this.#isClosed = true;
    this.#pending.close();
    this.#variables.close();
    await this.#link.close();
  }

  #openLink(start: TakenOver): AgentLink {
    return openAgentLink(
      {
        ...this.#deps,
        onMessage: (message) => this.#receive(message),
        onOpen: (workerId) => {
          this.#sending.goOn();
          this.#deps.onOpen(workerId);
        },
        onFenced: () => this.lose(),
      },
      start,
    );
  }

  #createSending(lanes: Lanes): Sending {
    return createSending({
      lanes,
      maySend: () => this.isOpen && this.isActing && this.#variables.isDone,
      send: (request) => this.#link.execute(request),
      isInterruptPending: (id) => this.#pending.has('InterruptRequested', id),
      interruptGraceMs: this.#deps.interruptGraceMs,
    });
  }
}
