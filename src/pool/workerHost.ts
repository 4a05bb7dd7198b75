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
import type { Cursor, EventStore } from '../events/eventStore.ts';
import type {
  CloseReason,
  ExecutionEvent,
  KernelRestartReason,
  RecordedEvent,
  SessionEvent,
} from '../events/eventTypes.ts';
import { evolveExecution } from '../events/projections/evolveExecution.ts';
import { evolveSession } from '../events/projections/evolveSession.ts';
import type { PendingCommand, UnfinishedExecution } from '../events/queries/queries.ts';
import type { Execution, Session } from '../events/states.ts';
import type { ExecutionId, SessionId, WorkerId } from '../ids.ts';
import { type ExecutionProgress, receive, startProgress } from '../kernel/executionProgress.ts';
import { type KernelChannel, openKernelChannel } from '../kernel/kernelChannel.ts';
import type { MessageCounts } from '../kernel/messageCounts.ts';
import type { KernelMessage } from '../kernel/messages.ts';
import { endingOf, endingWithoutAnswer } from './endings.ts';
import type { Ending } from './executionDecider.ts';
import { addOutput, type Job, type Segment, segmentOf } from './hostBatch.ts';
import { createHostCommands } from './hostCommands.ts';
import { type HostProgress, hostProgress, progressIn } from './hostProgress.ts';
import { createHostWriter } from './hostWriter.ts';

/** Far more than can be told of late: what is told was committed within seconds. */
const MAX_REMEMBERED = 1_000;

export interface WorkerHostDeps {
  readonly store: EventStore;
  readonly logger: Logger;
  readonly messageCounts: MessageCounts;
  readonly now: () => Date;
  readonly interruptGraceMs: number;
  readonly reloadExecution: (id: ExecutionId) => Promise<Execution | null>;
  /** Of its stored outputs; 0 if none. */
  readonly lastSeq: (id: ExecutionId) => Promise<number>;
  readonly reloadSession: (session: Session) => Promise<Session | null>;
  /** The lease is another gateway's now; the host has closed itself. */
  readonly onFenced: (workerId: WorkerId) => void;
  /** No connection for a while, or the agent is not the one that was there: whoever keeps the pool should look. */
  readonly onSuspect: (workerId: WorkerId, why: string) => void;
  readonly onOpen: (workerId: WorkerId) => void;
}

export interface HostStart {
  readonly workerId: WorkerId;
  readonly socketPath: string;
  readonly cursor: Cursor;
  readonly session: Session | null;
  readonly unfinished: readonly UnfinishedExecution[];
  readonly commands: readonly PendingCommand[];
}

export interface WorkerHost {
  readonly workerId: WorkerId;
  /** Connected: its agent answers. */
  readonly isOpen: boolean;
  readonly isSuspect: boolean;
  /** Executions accepted and not finished. */
  readonly unfinished: number;
  readonly sessionId: SessionId | null;
  opened(session: Session): void;
  /** Accepts an execution; known ones are ignored, so that every source may tell of it. */
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

export function createWorkerHost(deps: WorkerHostDeps, start: HostStart): WorkerHost {
  return new Host(deps, start);
}

class Host implements WorkerHost {
  readonly workerId: WorkerId;
  isSuspect = false;
  readonly #deps: WorkerHostDeps;
  readonly #channel: KernelChannel;
  readonly #writer: ReturnType<typeof createHostWriter>;
  readonly #commands: ReturnType<typeof createHostCommands>;
  readonly #epoch: number;
  #bootId: string;
  #session: Session | null;
  #jobs: Job[] = [];
  #progress: HostProgress;
  #isSent = false;
  /** Is to be interrupted, and may have been sent by the gateway before: it is not sent before the agent has told. */
  #askedFor: ExecutionId | null = null;
  #unstoredCancels = 0;
  #isClosed = false;
  /** Its agent is not the one that was there. Nothing is sent to it: it would run what the former one ran already. */
  #isReplaced = false;
  readonly #accepted = new Set<ExecutionId>();
  #ending: Promise<void> | null = null;

  constructor(deps: WorkerHostDeps, start: HostStart) {
    this.#deps = deps;
    this.workerId = start.workerId;
    this.#epoch = start.cursor.epoch;
    this.#bootId = start.cursor.bootId;
    this.#session = start.session;
    this.#progress = hostProgress(start.cursor);
    this.#jobs = start.unfinished.map((each) => jobOf(each, start.session));
    for (const { execution } of this.#jobs) this.#remember(execution.id);
    this.#writer = createHostWriter(this.#writerDeps(), start.cursor.seq);
    this.#channel = openKernelChannel({
      target: { kind: 'agent', socketPath: start.socketPath },
      after: start.cursor.seq,
      bootId: start.cursor.bootId,
      epoch: this.#epoch,
      logger: deps.logger,
      counts: deps.messageCounts,
      onMessage: (message) => this.#receive(message),
      onOpen: () => this.#opened(),
      onHello: (hello, isNewBoot) => this.#greet(hello.bootId, isNewBoot),
      onFenced: () => this.#fenced(),
      onUnreachable: (error) => this.#suspect(error.message),
    });
    this.#commands = createHostCommands({
      logger: deps.logger,
      carryOut: (command) => this.#carryOut(command),
      onFenced: () => this.#fenced(),
    });
    for (const command of start.commands) this.#commands.add(command);
  }

  get isOpen(): boolean {
    return this.#channel.state === 'open' && !this.#isClosed;
  }

  get unfinished(): number {
    return this.#jobs.length;
  }

  get sessionId(): SessionId | null {
    return this.#session?.id ?? null;
  }

  opened(session: Session): void {
    this.#session = session;
  }

  enqueue(next: UnfinishedExecution): void {
    if (this.#isClosed || this.#accepted.has(next.execution.id)) return;
    this.#remember(next.execution.id);
    this.#jobs.push({ ...jobOf(next, null), isTakenOver: false });
    this.#runNext();
  }

  has(id: ExecutionId): boolean {
    return this.#jobs.some(({ execution }) => execution.id === id);
  }

  carryOut(command: PendingCommand, recorded: RecordedEvent): void {
    this.#fold(recorded);
    this.#commands.add(command);
  }

  async #carryOut(command: PendingCommand): Promise<void> {
    if (command.type === 'restart') return await this.#channel.http.restart(command.requestId);
    const id = command.executionId;
    const job = this.#jobs.find(({ execution }) => execution.id === id);
    if (!job) return;
    // Neither this gateway nor the one before it has sent it.
    if (!job.isTakenOver && this.#progressOf(job) === null) return this.#cancel(job);
    const { known } = await this.#channel.http.interrupt(id, command.requestId);
    const isUnsent = this.#askedFor === id || this.#progressOf(job) === null;
    if (this.#askedFor === id) this.#askedFor = null;
    if (known || !isUnsent || this.#isReplaced || this.#isClosed || !this.has(id)) return;
    this.#cancel(job);
  }

  /** What runs next waits until that is stored: a successor finds the same order, and sends nothing that was cancelled. */
  #cancel(job: Job): void {
    const ending = endingWithoutAnswer('CANCELLED', job.stateLost, this.#progressOf(job));
    this.#finish(job, ending, this.#deps.now());
    this.#unstoredCancels += 1;
    void this.#writer.drained().then(() => {
      this.#unstoredCancels -= 1;
      this.#runNext();
    });
  }

  /** So that the next commit is decided on the version that there is now. */
  #fold({ streamId, version, event }: RecordedEvent): void {
    const job = this.#jobs.find(({ execution }) => execution.id === streamId);
    if (job?.execution.version === version - 1)
      job.execution = evolveExecution(job.execution, event as ExecutionEvent);
    const session = this.#session;
    if (session?.id === streamId && session.version === version - 1)
      this.#session = evolveSession(session, event as SessionEvent);
  }

  end(reason: CloseReason): Promise<void> {
    this.#ending ??= this.#isClosed ? Promise.resolve() : this.#end(reason);
    return this.#ending;
  }

  async #end(reason: CloseReason): Promise<void> {
    this.#isClosed = true;
    this.#commands.close();
    await this.#channel.close();
    const status = reason === 'worker-lost' ? 'WORKER_LOST' : 'CANCELLED';
    for (const job of [...this.#jobs]) {
      if (reason === 'worker-lost') job.stateLost = true;
      const ending = endingWithoutAnswer(status, job.stateLost, this.#progressOf(job));
      this.#finish(job, ending, this.#deps.now());
    }
    await this.#writer.drained();
    this.#writer.stop();
  }

  lose(): void {
    this.#fenced();
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosed = true;
    this.#commands.close();
    await this.#channel.close();
    const limit = AbortSignal.timeout(drainMs);
    await Promise.race([
      this.#writer.drained(),
      new Promise((resolve) => limit.addEventListener('abort', resolve, { once: true })),
    ]);
    this.#writer.stop();
  }

  #writerDeps(): Parameters<typeof createHostWriter>[0] {
    const { store, logger } = this.#deps;
    return {
      store,
      logger,
      session: () => this.#session,
      cursor: () => ({
        workerId: this.workerId,
        epoch: this.#epoch,
        bootId: this.#bootId,
        progress: this.#progress,
      }),
      reload: (segments) => this.#reload(segments),
      onStored: ({ seq, session }) => {
        if (session !== null) this.#session = session;
        if (seq !== null) this.#channel.ack(seq);
      },
      onFenced: () => this.#fenced(),
      holdBack: (isHeld) => (isHeld ? this.#channel.pause() : this.#channel.resume()),
    };
  }

  #receive(message: KernelMessage): void {
    if (this.#isReplaced) return;
    const { batch } = this.#writer;
    if (message.seq !== null) batch.seq = message.seq;
    const at = new Date(message.at);
    if (message.type === 'status' && message.state === 'restarting') {
      this.#kernelRestarted(message.reason ?? 'died', at);
      return;
    }
    const job = this.#jobs[0];
    const progress = job ? this.#progressOf(job) : null;
    if (!job || progress === null) return;
    const step = receive(progress, message, { maxOutputBytes: job.execution.maxOutputBytes });
    this.#progress = { ...this.#progress, execution: step.progress };
    for (const output of step.outputs) addOutput(batch, job, output, at);
    if (step.started) segmentOf(batch, job).startedAt = at;
    if (step.done !== null) {
      this.#finish(job, endingOf(step.done, job), at);
      this.#runNext();
    } else if (step.outputs.length > 0) this.#writer.added('output');
    else if (step.started) this.#writer.added('start');
  }

  #finish(job: Job, ending: Ending, at: Date): void {
    if (this.#progressOf(job) !== null) {
      this.#progress = { execution: null, hasUntoldLoss: false };
      this.#isSent = false;
    }
    this.#jobs = this.#jobs.filter((each) => each !== job);
    segmentOf(this.#writer.batch, job).end = { at, ending };
    this.#writer.added('end');
  }

  #kernelRestarted(reason: KernelRestartReason, at: Date): void {
    const running = this.#isSent ? (this.#jobs[0]?.execution.id ?? null) : null;
    this.#writer.batch.kernelRestarts.push({ at, reason, executionId: running });
    for (const job of this.#jobs) job.stateLost = true;
    if (this.#jobs.length === 0 && reason !== 'user') {
      this.#progress = { ...this.#progress, hasUntoldLoss: true };
    }
    this.#writer.added('output');
  }

  #opened(): void {
    if (this.#isReplaced) return;
    this.isSuspect = false;
    const first = this.#jobs[0];
    // The agent ignores a msg_id it has seen: sending again is how a successor makes sure that it was sent at all.
    if (!first || this.#progressOf(first) === null) this.#runNext();
    else if (first.execution.id !== this.#askedFor) this.#send(first);
    this.#deps.onOpen(this.workerId);
  }

  #runNext(): void {
    const job = this.#jobs[0];
    if (!job || this.#isSent || this.#isReplaced || !this.isOpen) return;
    if (this.#unstoredCancels > 0) return;
    if (this.#progress.hasUntoldLoss) job.stateLost = true;
    const { id } = job.execution;
    this.#progress = { ...this.#progress, execution: startProgress(id) };
    if (this.#commands.isInterrupting(id)) {
      this.#isSent = true;
      this.#askedFor = id;
    } else this.#send(job);
  }

  #send({ execution, code }: Job): void {
    this.#isSent = true;
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
    this.#suspect('its agent was started anew: what it ran is gone');
  }

  #suspect(why: string): void {
    this.isSuspect = true;
    this.#deps.onSuspect(this.workerId, why);
  }

  /** Told of late, an execution that is over must not be sent again: nobody would answer. */
  #remember(id: ExecutionId): void {
    this.#accepted.add(id);
    const [oldest] = this.#accepted;
    if (this.#accepted.size > MAX_REMEMBERED && oldest) this.#accepted.delete(oldest);
  }

  #fenced(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#commands.close();
    this.#writer.stop();
    void this.#channel.close();
    this.#deps.onFenced(this.workerId);
  }

  #progressOf(job: Job): ExecutionProgress | null {
    return progressIn({ progress: this.#progress }, job.execution.id);
  }

  async #reload(segments: readonly Segment[]): Promise<void> {
    for (const { job, outputs } of segments) {
      job.execution = (await this.#deps.reloadExecution(job.execution.id)) ?? job.execution;
      // A commit whose answer was lost may have been done: what it stored is not stored again.
      const lastSeq = await this.#deps.lastSeq(job.execution.id);
      const stored = Math.max(0, lastSeq + 1 - job.nextSeq);
      outputs.splice(0, stored);
      job.nextSeq += stored;
    }
    if (this.#session) this.#session = await this.#deps.reloadSession(this.#session);
  }
}

/** A predecessor may have seen the kernel replaced since the execution was accepted. */
function jobOf({ execution, code, lastSeq }: UnfinishedExecution, session: Session | null): Job {
  const restartedAt = session?.kernelRestartedAt?.getTime() ?? 0;
  const stateLost = restartedAt > execution.requestedAt.getTime();
  return { execution, code, isTakenOver: true, nextSeq: lastSeq + 1, stateLost };
}
