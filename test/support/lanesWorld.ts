/**
 * A worker with several lanes, without a database or a socket: its agent, what is stored, and gateways that take the
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
import { createWorkerContexts } from '../../src/worker/contexts/workerContexts.ts';
import { createConversation } from '../../src/worker/conversation.ts';
import { DEFAULT_LANE, type LaneKey, laneOf } from '../../src/worker/lanes/laneKey.ts';
import { createLanes, type LanesStart } from '../../src/worker/lanes/lanes.ts';
import { type Batch, emptyBatch } from '../../src/worker/storing/batch.ts';
import { batchCommit } from '../../src/worker/storing/batchCommit.ts';
import { COMMAND, createLanesAgent, MAX_COMMANDS, type Step } from './lanesAgent.ts';
import { openContext, openSession, queuedExecution } from './states.ts';

/** What is stored of one execution. */
interface Stored {
  readonly lane: LaneKey;
  execution: Execution;
  /** Its output; pieces may have been joined in another way. */
  text: string;
  lastSeq: number;
  readonly events: ExecutionEvent[];
}

export interface LanesWorld {
  /** Does the step. The gateway receives what the agent reports, and stores it later. */
  take(step: Step): void;
  store(): void;
  /** The gateway dies with what it has not stored or sent, and another one takes the worker over. */
  takeOver(): void;
  readonly hasUnfinished: boolean;
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

/** The lanes beside the default one are those of contexts with these ids. */
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
  /** Code on its way to the agent. */
  let onItsWay: string[] = [];
  const send = (id: string) => onItsWay.push(id);
  let gateway = createGateway(start(), [...contexts.values()], send);

  function request(lane: LaneKey): void {
    const executionId = idAfter(rows.size);
    const at = new Date(clock).toISOString();
    const execution = queuedExecution({ executionId, at, ...optionsOf(lane) });
    rows.set(executionId, { lane: laneOf(execution), execution, text: '', lastSeq: 0, events: [] });
    gateway.enqueue({ execution, code: 'x', lastSeq: 0 });
  }

  function storeBatch(batch: Batch): void {
    const stored = { session: null, context: (id: string) => contexts.get(id) };
    const { streams, outputs = [] } = batchCommit(batch, stored);
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
      if (!row) throw new Error('Nobody asked for this execution.');
      for (const event of events as ExecutionEvent[]) {
        row.events.push(event);
        row.execution = evolveExecution(row.execution, event);
      }
    }
    for (const { job } of batch.segments) {
      const row = rows.get(job.execution.id);
      if (row) Object.assign(job, { execution: row.execution, nextSeq: row.lastSeq + 1 });
    }
  }

  function storeContext(id: string, events: ContextEvent[]): void {
    const context = events.reduce<Context | null>(evolveContext, contexts.get(id) ?? null);
    if (context === null) throw new Error('Nobody asked for this context.');
    contexts.set(id, context);
    gateway.contexts.put(context);
  }

  function store(): void {
    const { batch, progress } = gateway.takeBatch();
    const { segments, kernelRestarts: restarts, contextFacts } = batch;
    if (segments.length + restarts.length + contextFacts.length === 0) return;
    cursor = { seq: batch.seq ?? cursor.seq, progress: JSON.parse(JSON.stringify(progress)) };
    kernelRestarts.push(...restarts);
    storeBatch(batch);
  }

  return {
    take: (step) => {
      clock += STEP_MS;
      for (const id of onItsWay) agent.send(id as ExecutionId, rows.get(id)?.lane ?? DEFAULT_LANE);
      onItsWay = [];
      if (step.type === 'request') return request(step.lane);
      const message = agent.report(step, clock);
      if (message) gateway.receive(message);
    },
    store,
    takeOver: () => {
      onItsWay = [];
      gateway = createGateway(start(), [...contexts.values()], send);
      for (const message of agent.after(cursor.seq)) gateway.receive(message);
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

/** The parts of a gateway that follow messages and choose what runs next. It is always connected. */
function createGateway(
  start: LanesStart,
  contexts: readonly Context[],
  send: (id: string) => unknown,
) {
  const lanes = createLanes(start);
  const workerContexts = createWorkerContexts(contexts, async () => []);
  let batch = emptyBatch();
  const writer = {
    get batch() {
      return batch;
    },
    added: () => undefined,
    drained: async () => undefined,
    stop: () => undefined,
  };
  const state = openSession();
  const { sending, receive } = createConversation({
    lanes,
    contexts: workerContexts,
    writer,
    session: { state, put, fold: put, reload: async () => undefined, kernelRestartedAt: null },
    now: () => new Date(),
    isLinked: () => true,
    maySend: () => true,
    send: ({ msgId }) => send(msgId),
    isInterruptPending: () => false,
    interruptGraceMs: 1,
    maxCommands: MAX_COMMANDS,
  });
  sending.goOn();
  return {
    receive,
    contexts: workerContexts,
    enqueue: (next: UnfinishedExecution) => {
      const lane = lanes.add(next);
      if (lane) sending.beginNext(lane);
    },
    takeBatch: () => {
      const taken = { batch, progress: lanes.progress };
      batch = emptyBatch();
      return taken;
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
