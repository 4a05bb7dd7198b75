import { within } from '../async/within.ts';
import type { RecordedEvent } from '../domain/events.ts';
import type { Ending } from '../domain/execution.ts';
import type { ExecutionId, SessionId, WorkerId } from '../domain/ids.ts';
import {
  type CloseReason,
  evolveSession,
  type Session,
  type SessionEvent,
} from '../domain/session.ts';
import type { UnfinishedExecution } from '../events/queries/executionQueries.ts';
import type { CallAgent } from '../kernel/calls/createAgentCalls.ts';
import { type KernelChannel, openKernelChannel } from '../kernel/channel/kernelChannel.ts';
import { FencedByWorkerError } from '../kernel/channel/kernelErrors.ts';
import { receive } from '../kernel/execution/executionProgress.ts';
import type { KernelMessage } from '../kernel/frames/messages.ts';
import { addOutput, type Job, type Segment, segmentOf } from './batch.ts';
import { endingOf, endingWithoutAnswer } from './endings.ts';
import type { HeldWorker, HeldWorkerDeps, TakenOver } from './heldWorker.ts';
import { createJobs, type Jobs } from './jobs.ts';
import type { OperatedWorker } from './operations/durableOperation.ts';
import { operationOf } from './operations/durableOperations.ts';
import { createPendingOperations, type PendingOperations } from './operations/pendingOperations.ts';
import { createVariableDelivery, type VariableDelivery } from './variableDelivery.ts';
import { createWriter, type Writer } from './writer.ts';

/** Starts acting for the worker immediately. */
export function createHeldWorker(deps: HeldWorkerDeps, start: TakenOver): HeldWorker {
  return new Held(deps, start);
}

class Held implements HeldWorker, OperatedWorker {
  readonly workerId: WorkerId;
  isSuspect = false;
  readonly #deps: HeldWorkerDeps;
  readonly jobs: Jobs;
  readonly #channel: KernelChannel;
  readonly #writer: Writer;
  readonly #pending: PendingOperations;
  readonly #variables: VariableDelivery;
  readonly #epoch: number;
  #bootId: string;
  #session: Session | null;
  /**
   * The execution whose code is not sent for now: an interrupt for it is pending, and the former holder may have sent
   * the code already. The agent's answer to the interrupt tells whether it has the code.
   */
  #heldBack: ExecutionId | null = null;
  #unstoredCancels = 0;
  #isClosed = false;
  /** The agent was restarted. Nothing is sent to it any more, because it would run code again that has already run. */
  #isReplaced = false;
  #ending: Promise<void> | null = null;

  constructor(deps: HeldWorkerDeps, start: TakenOver) {
    this.#deps = deps;
    this.workerId = start.workerId;
    this.#epoch = start.cursor.epoch;
    this.#bootId = start.cursor.bootId;
    this.#session = start.session;
    this.jobs = createJobs(start);
    this.#writer = createWriter(this.#writerDeps(), start.cursor.seq);
    this.#channel = this.#openChannel(start);
    this.#pending = createPendingOperations({
      logger: deps.logger,
      carryOut: async (request) => operationOf(request.event.type)?.carryOut(this, request),
    });
    for (const request of start.pending) this.#pending.add(request);
    this.#variables = createVariableDelivery({
      logger: deps.logger,
      call: this.call,
      read: deps.variables,
      onGiven: () => this.#goOn(),
      onRefused: () => this.#suspect('its agent is too old for environment variables'),
    });
    if (start.session) this.#variables.begin(start.session);
  }

  get isOpen(): boolean {
    return this.#channel.state === 'open' && !this.#isClosed;
  }

  get unfinished(): number {
    return this.jobs.count;
  }

  get running(): ExecutionId | null {
    const { first } = this.jobs;
    return first && this.jobs.progressOf(first) !== null ? first.execution.id : null;
  }

  get sessionId(): SessionId | null {
    return this.#session?.id ?? null;
  }

  opened(session: Session): void {
    const isNew = this.#session?.id !== session.id;
    this.#session = session;
    if (isNew) this.#variables.begin(session);
  }

  enqueue(next: UnfinishedExecution): void {
    if (!this.#isClosed && this.jobs.add(next)) this.#runNext();
  }

  has(id: ExecutionId): boolean {
    return this.jobs.find(id) !== undefined;
  }

  carryOut(request: RecordedEvent): void {
    this.jobs.fold(request);
    const session = this.#session;
    if (session?.id === request.streamId && session.version === request.version - 1)
      this.#session = evolveSession(session, request.event as SessionEvent);
    this.#pending.add(request);
  }

  readonly call: CallAgent = async (name, input) => {
    try {
      return await this.#channel.call(name, input);
    } catch (error: unknown) {
      if (error instanceof FencedByWorkerError) this.lose();
      throw error;
    }
  };

  get isActing(): boolean {
    return !this.#isClosed && !this.#isReplaced;
  }

  endHoldBack(id: ExecutionId): boolean {
    if (this.#heldBack !== id) return false;
    this.#heldBack = null;
    return true;
  }

  /** The next execution waits until the cancellation is stored, so that no later holder can send the cancelled code. */
  cancel(job: Job): void {
    this.#finishUnanswered(job, 'CANCELLED');
    this.#unstoredCancels += 1;
    void this.#writer.drained().then(() => {
      this.#unstoredCancels -= 1;
      this.#runNext();
    });
  }

  end(reason: CloseReason): Promise<void> {
    this.#ending ??= this.#isClosed ? Promise.resolve() : this.#end(reason);
    return this.#ending;
  }

  lose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#pending.close();
    this.#variables.close();
    this.#writer.stop();
    void this.#channel.close();
    this.#deps.onFenced(this.workerId);
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    this.#pending.close();
    this.#variables.close();
    await this.#channel.close();
    await within(drainMs, this.#writer.drained(), () => undefined);
    this.#writer.stop();
  }

  async #end(reason: CloseReason): Promise<void> {
    this.#isClosed = true;
    this.#pending.close();
    this.#variables.close();
    await this.#channel.close();
    const status = reason === 'worker-lost' ? 'WORKER_LOST' : 'CANCELLED';
    for (const job of this.jobs.all()) {
      if (reason === 'worker-lost') job.stateLost = true;
      this.#finishUnanswered(job, status);
    }
    await this.#writer.drained();
    this.#writer.stop();
  }

  #openChannel({ address, cursor }: TakenOver): KernelChannel {
    const { logger, messageCounts } = this.#deps;
    return openKernelChannel({
      target: { kind: 'agent', address },
      after: cursor.seq,
      bootId: cursor.bootId,
      epoch: cursor.epoch,
      logger,
      counts: messageCounts,
      onMessage: (message) => this.#receive(message),
      onOpen: () => this.#opened(),
      onHello: (hello, isNewBoot) => this.#greet(hello.bootId, isNewBoot),
      onFenced: () => this.lose(),
      onUnreachable: (error) => this.#suspect(error.message),
    });
  }

  #writerDeps(): Parameters<typeof createWriter>[0] {
    const { store, logger, followers } = this.#deps;
    return {
      store,
      logger,
      session: () => this.#session,
      cursor: () => ({
        workerId: this.workerId,
        epoch: this.#epoch,
        bootId: this.#bootId,
        progress: this.jobs.progress,
      }),
      reload: (segments) => this.#reload(segments),
      onStored: ({ seq, session }) => {
        if (session !== null) this.#session = session;
        if (seq !== null) this.#channel.ack(seq);
      },
      onFenced: () => this.lose(),
      followers: () => (this.jobs.first ? followers(this.jobs.first.execution) : 0),
      holdBack: (isHeld) => (isHeld ? this.#channel.pause() : this.#channel.resume()),
    };
  }

  #receive(message: KernelMessage): void {
    if (this.#isReplaced) return;
    const { batch } = this.#writer;
    if (message.seq !== null) batch.seq = message.seq;
    const at = new Date(message.at);
    if (message.type === 'status' && message.state === 'restarting') {
      const reason = message.reason ?? 'died';
      // Before there is a session, no user has variables that could be lost.
      const executionId = this.#session && this.jobs.kernelReplaced();
      batch.kernelRestarts.push({ at, reason, executionId });
      this.#writer.added('output');
      return;
    }
    const { first: job } = this.jobs;
    const progress = job ? this.jobs.progressOf(job) : null;
    if (!job || progress === null) return;
    const step = receive(progress, message, { maxOutputBytes: job.execution.maxOutputBytes });
    this.jobs.advance(step.progress);
    for (const output of step.outputs) addOutput(batch, job, output, at);
    if (step.started) segmentOf(batch, job).startedAt = at;
    if (step.done !== null) {
      this.#finish(job, endingOf(step.done, job), at);
      this.#runNext();
    } else if (step.outputs.length > 0) this.#writer.added('output');
    else if (step.started) this.#writer.added('start');
  }

  #finish(job: Job, ending: Ending, at: Date): void {
    this.jobs.remove(job);
    segmentOf(this.#writer.batch, job).end = { at, ending };
    this.#writer.added('end');
  }

  #finishUnanswered(job: Job, status: 'CANCELLED' | 'WORKER_LOST'): void {
    const ending = endingWithoutAnswer(status, job.stateLost, this.jobs.progressOf(job));
    this.#finish(job, ending, this.#deps.now());
  }

  #opened(): void {
    if (this.#isReplaced) return;
    this.isSuspect = false;
    this.#goOn();
    this.#deps.onOpen(this.workerId);
  }

  /** The channel was opened, or the session's variables are given: sends the code that is due. */
  #goOn(): void {
    if (!this.isOpen || !this.#variables.isDone) return;
    const { first } = this.jobs;
    // The former holder may have died before it sent the code, so it is sent again. The agent ignores a known msg_id.
    if (first && this.jobs.progressOf(first) !== null) this.#sendOrHoldBack(first);
    else this.#runNext();
  }

  #runNext(): void {
    const { first } = this.jobs;
    if (!first || this.jobs.progressOf(first) !== null) return;
    if (!this.isOpen || this.#isReplaced || this.#unstoredCancels > 0) return;
    if (!this.#variables.isDone) return;
    this.jobs.begin(first);
    this.#sendOrHoldBack(first);
  }

  #sendOrHoldBack({ execution, code }: Job): void {
    if (this.#pending.has('InterruptRequested', execution.id)) {
      this.#heldBack = execution.id;
      return;
    }
    this.#channel.execute({
      msgId: execution.id,
      code,
      timeoutMs: execution.timeoutMs,
      graceMs: this.#deps.interruptGraceMs,
      maxOutputBytes: execution.maxOutputBytes,
    });
  }

  #greet(bootId: string, isNewBoot: boolean): void {
    if (!isNewBoot) {
      this.#bootId = bootId;
      return;
    }
    this.#isReplaced = true;
    this.#suspect('its agent was restarted: whatever ran is gone');
  }

  #suspect(why: string): void {
    this.isSuspect = true;
    this.#deps.onSuspect(this.workerId, why);
  }

  async #reload(segments: readonly Segment[]): Promise<void> {
    for (const { job, outputs } of segments) {
      job.execution = (await this.#deps.reloadExecution(job.execution.id)) ?? job.execution;
      // A commit may have succeeded although its answer was lost. What it stored must not be stored again.
      const lastSeq = await this.#deps.lastSeq(job.execution.id);
      const stored = Math.max(0, lastSeq + 1 - job.nextSeq);
      outputs.splice(0, stored);
      job.nextSeq += stored;
    }
    if (this.#session) this.#session = await this.#deps.reloadSession(this.#session);
  }
}
