/**
 * A worker with several lanes, without a database or a socket: its agent, its stored rows, and gateways that take the
 * worker over from each other.
 */
import { type Context, type ContextEvent, evolveContext } from '../../src/domain/context.ts';
import {
  type Execution,
  type ExecutionEvent,
  evolveExecution,
} from '../../src/domain/execution.ts';
import type { ContextId, ExecutionId } from '../../src/domain/ids.ts';
import type { UnfinishedExecution } from '../../src/events/queries/executionQueries.ts';
import { type Batch, batchCommit, emptyBatch } from '../../src/worker/batch.ts';
import { createConversation } from '../../src/worker/createHeldWorker.ts';
import {
  createLanes,
  DEFAULT_LANE,
  type LaneKey,
  type LanesStart,
  laneOf,
} from '../../src/worker/lanes.ts';
import { createWorkerContexts } from '../../src/worker/workerState.ts';
import { addStopped } from '../../src/worker/writer.ts';
import { COMMAND, createLanesAgent, MAX_COMMANDS, type Step } from './lanesAgent.ts';
import { openContext, openSession, queuedExecution } from './states.ts';

/** What is stored of one execution. */
interface Stored {
  readonly lane: LaneKey;
  execution: Execution;
  /** All of its output as one text, however it was divided into pieces. */
  text: string;
  lastSeq: number;
  readonly events: ExecutionEvent[];
  /** When it was recorded, sent first, completed by the agent, and recorded as ended, as values of one counter. */
  readonly requested: number;
  sent: number | null;
  over: number | null;
  ended: number | null;
}

export interface LanesWorld {
  /** Carries out the step. If the agent reports something, the gateway receives it, but does not store it yet. */
  take(step: Step): void;
  /** Lets the event feed report all late requests to the gateway. */
  hear(): void;
  /** Stores what the gateway has received. Resolves when the gateway has acted on this commit. */
  store(): Promise<void>;
  /** Lets the gateway die, which loses everything that it has not stored or sent. Another one takes the worker over. */
  takeOver(maxCommands?: number): void;
  readonly hasUnfinished: boolean;
  /** The executions whose input the gateway would still deliver. */
  readonly awaitingInput: readonly ExecutionId[];
  /** What is stored of each execution, in the order of acceptance. */
  readonly rows: readonly Readonly<Stored>[];
  /** What is stored in the end, and in which order the agent ran the executions of each lane. */
  readonly result: {
    readonly executions: readonly Pick<Stored, 'lane' | 'text' | 'events'>[];
    readonly kernelRestarts: readonly unknown[];
    readonly contexts: readonly Pick<Context, 'id' | 'version' | 'kernelRestartedAt'>[];
    readonly ran: ReadonlyMap<LaneKey, readonly ExecutionId[]>;
  };
}

const STEP_MS = 1_000;

/** The id of the execution that is requested after `earlier` others. */
export const idAfter = (earlier: number) => `execution-${earlier}` as ExecutionId;

/** @param ids the ids of contexts. Each has a lane, in addition to the default lane */
export function createLanesWorld(ids: readonly LaneKey[]): LanesWorld {
  const agent = createLanesAgent();
  const rows = new Map<string, Stored>();
  const kernelRestarts: Batch['kernelRestarts'] = [];
  const contexts = new Map<string, Context>(ids.map((id) => [id, readyContext(id)]));
  let cursor = { seq: 0, progress: null as unknown };
  let clock = Date.UTC(2026, 0);
  const unfinished = () =>
    [...rows.values()].filter(({ execution }) => execution.finishedAt === null);
  const start = (): LanesStart => ({
    cursor,
    unfinished: unfinished().map(({ execution, lastSeq }) => ({ execution, code: 'x', lastSeq })),
    laneOf,
    kernelRestartedAt: (lane) =>
      (lane === DEFAULT_LANE ? kernelRestarts.at(-1)?.at : contexts.get(lane)?.kernelRestartedAt) ??
      null,
  });
  let moment = 0;
  const next = () => {
    moment += 1;
    return moment;
  };
  /** The ids of executions whose code is on its way to the agent. */
  let onItsWay: string[] = [];
  const send = (id: string) => {
    const row = rows.get(id);
    if (row) row.sent ??= next();
    onItsWay.push(id);
  };
  const acting = (maxCommands: number): Acting => ({
    send,
    isInterruptPending: (id) => interrupted.has(id),
    maxCommands,
  });
  /** Executions that are to be interrupted. */
  const interrupted = new Set<ExecutionId>();
  /** Requests that the event feed has not reported to the gateway yet. */
  let unreported: UnfinishedExecution[] = [];
  let gateway = createGateway(start(), [...contexts.values()], acting(MAX_COMMANDS));

  function request({ lane, stopOnError, isLate }: Extract<Step, { type: 'request' }>): void {
    const executionId = idAfter(rows.size);
    const at = new Date(clock).toISOString();
    const stops = stopOnError ? ({ stopOnError } as const) : {};
    const execution = queuedExecution({ executionId, at, ...optionsOf(lane), ...stops });
    rows.set(executionId, {
      ...{ lane: laneOf(execution), execution, text: '', lastSeq: 0, events: [] },
      ...{ requested: next(), sent: null, over: null, ended: null },
    });
    unreported.push({ execution, code: 'x', lastSeq: 0 });
    if (!isLate) hear();
  }

  function hear(): void {
    const reported = unreported;
    unreported = [];
    for (const each of reported) gateway.enqueue(each);
  }

  async function storeBatch(batch: Batch): Promise<void> {
    const stored = { session: null, context: (id: string) => contexts.get(id) };
    const readUnfinished = async () => unfinished().map(({ execution }) => execution);
    await gateway.addStopped(batch, readUnfinished);
    const { streams, outputs = [] } = batchCommit(batch, stored);
    const now = next();
    for (const { executionId, seq, output } of outputs) {
      const row = rows.get(executionId);
      if (row?.lastSeq !== seq - 1) throw new Error('An output is missing, or is stored twice.');
      row.lastSeq = seq;
      if (output.kind === 'stream') row.text += output.text;
    }
    for (const { stream, id, events } of streams) {
      if (stream === 'context') {
        storeContext(id, events as ContextEvent[]);
        continue;
      }
      const row = rows.get(id);
      if (!row) throw new Error('This execution was never requested.');
      for (const event of events as ExecutionEvent[]) {
        row.events.push(event);
        row.execution = evolveExecution(row.execution, event);
        if (event.type === 'ExecutionFinished') row.ended = now;
        if (event.type === 'InterruptRequested') interrupted.add(row.execution.id);
      }
    }
    for (const { job } of batch.segments) {
      const row = rows.get(job.execution.id);
      if (row) Object.assign(job, { execution: row.execution, nextSeq: row.lastSeq + 1 });
    }
  }

  function storeContext(id: string, events: ContextEvent[]): void {
    const context = events.reduce<Context | null>(evolveContext, contexts.get(id) ?? null);
    if (context === null) throw new Error('This context was never created.');
    contexts.set(id, context);
    gateway.contexts.put(context);
  }

  async function store(): Promise<void> {
    const { batch, progress } = gateway.takeBatch();
    const { segments, kernelRestarts: restarts, contextFacts } = batch;
    if (segments.length + restarts.length + contextFacts.length === 0) return;
    await storeBatch(batch);
    cursor = { seq: batch.seq ?? cursor.seq, progress: JSON.parse(JSON.stringify(progress)) };
    kernelRestarts.push(...restarts);
    gateway.stored();
    await settled();
    await carryOutInterrupts();
  }

  /** Interrupts the recorded executions. Code that the agent already has goes on, as if it ignored the interrupt. */
  async function carryOutInterrupts(): Promise<void> {
    for (const id of interrupted) {
      const isKnown = onItsWay.includes(id) || agent.interrupt(id);
      interrupted.delete(id);
      gateway.answered(id, isKnown);
    }
    await store();
  }

  return {
    take: (step) => {
      clock += STEP_MS;
      for (const id of onItsWay) agent.send(id as ExecutionId, rows.get(id)?.lane ?? DEFAULT_LANE);
      onItsWay = [];
      if (step.type === 'request') return request(step);
      const message = agent.report(step, clock);
      for (const row of rows.values()) if (agent.isOver(row.execution.id)) row.over ??= next();
      if (message) gateway.receive(message);
    },
    hear,
    store,
    takeOver: (maxCommands = MAX_COMMANDS) => {
      onItsWay = [];
      unreported = [];
      gateway = createGateway(start(), [...contexts.values()], acting(maxCommands));
      for (const message of agent.after(cursor.seq)) gateway.receive(message);
    },
    get rows() {
      return [...rows.values()];
    },
    get awaitingInput() {
      return gateway.awaitingInput();
    },
    get hasUnfinished() {
      return unfinished().length > 0;
    },
    get result() {
      const executions = [...rows.values()].map(({ lane, text, events }) => ({
        lane,
        text,
        events,
      }));
      const facts = [...contexts.values()].map(({ id, version, kernelRestartedAt }) => ({
        id,
        version,
        kernelRestartedAt,
      }));
      return { executions, kernelRestarts, contexts: facts, ran: agent.ran };
    },
  };
}

interface Acting {
  readonly send: (id: string) => void;
  readonly isInterruptPending: (id: ExecutionId) => boolean;
  readonly maxCommands: number;
}

/** Resolves when all callbacks of resolved promises have run, and those that they caused. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The parts of a gateway that follow messages and choose what runs next. It is always connected. */
function createGateway(
  start: LanesStart,
  contexts: readonly Context[],
  { send, isInterruptPending, maxCommands }: Acting,
) {
  const now = () => new Date(0);
  let onStored: (() => void)[] = [];
  const lanes = createLanes(start);
  const workerContexts = createWorkerContexts(contexts, async () => []);
  let batch = emptyBatch();
  const writer = {
    get batch() {
      return batch;
    },
    added: () => undefined,
    drained: () => new Promise<void>((resolve) => onStored.push(resolve)),
    stop: () => undefined,
  };
  const state = openSession();
  const awaitingInput = new Set<ExecutionId>(lanes.jobs().map(({ execution }) => execution.id));
  const { sending, finishing, receive } = createConversation({
    lanes,
    contexts: workerContexts,
    writer,
    input: { begun: () => undefined, ended: (id) => awaitingInput.delete(id) },
    session: { state, put, fold: put, reload: async () => undefined, kernelRestartedAt: null },
    now,
    isLinked: () => true,
    maySend: () => true,
    send: ({ msgId }) => send(msgId),
    isInterruptPending,
    valuesOf: async () => null,
    interruptGraceMs: 1,
    maxCommands,
  });
  sending.goOn();
  return {
    receive,
    contexts: workerContexts,
    enqueue: (next: UnfinishedExecution) => {
      const lane = lanes.add(next);
      if (!lane) return;
      awaitingInput.add(next.execution.id);
      sending.beginNext(lane);
    },
    awaitingInput: () => [...awaitingInput],
    takeBatch: () => {
      const taken = { batch, progress: lanes.progress };
      batch = emptyBatch();
      return taken;
    },
    addStopped: (taken: Batch, readUnfinished: () => Promise<Execution[]>) =>
      addStopped(
        { lanes, takeOut: finishing.takeOut, readUnfinished, next: () => batch, now },
        taken,
      ),
    stored: () => {
      for (const each of onStored) each();
      onStored = [];
    },
    /** The agent's answer to an interrupt (`src/worker/operations.ts`). */
    answered: (id: ExecutionId, isKnown: boolean) => {
      const job = lanes.find(id);
      const isUnsent = sending.endHoldBack(id) || (job && lanes.progressOf(job) === null);
      if (job && !isKnown && isUnsent) finishing.cancel(job);
    },
  };
}

function optionsOf(lane: LaneKey) {
  if (lane === COMMAND) return { language: 'BASH' } as const;
  return lane === DEFAULT_LANE ? {} : { contextId: lane as ContextId };
}

/** The session never changes here. */
const put = () => undefined;

const READY_AT = new Date(Date.UTC(2025, 0)).toISOString();

function readyContext(id: string): Context {
  const contextId = id as ContextId;
  const started: ContextEvent = { type: 'ContextStarted', data: { at: READY_AT, readyMs: 1 } };
  return evolveContext(openContext({ contextId, at: READY_AT }), started);
}
