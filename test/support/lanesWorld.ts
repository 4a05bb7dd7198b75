/**
 * A worker with several lanes, without a database or a socket: its agent, what is stored, and gateways that take the
 * worker over from each other.
 */
import {
  type Execution,
  type ExecutionEvent,
  evolveExecution,
} from '../../src/domain/execution.ts';
import type { ExecutionId } from '../../src/domain/ids.ts';
import type { UnfinishedExecution } from '../../src/events/queries/executionQueries.ts';
import { createFinishing } from '../../src/worker/finishing.ts';
import { DEFAULT_LANE, type LaneKey } from '../../src/worker/lanes/laneKey.ts';
import { createLanes, type LanesStart } from '../../src/worker/lanes/lanes.ts';
import { createReceiving } from '../../src/worker/receiving.ts';
import { createSending } from '../../src/worker/sending.ts';
import { type Batch, emptyBatch } from '../../src/worker/storing/batch.ts';
import { batchCommit } from '../../src/worker/storing/batchCommit.ts';
import { createLanesAgent, type Step } from './lanesAgent.ts';
import { openSession, queuedExecution } from './states.ts';

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
    readonly ran: ReadonlyMap<LaneKey, readonly ExecutionId[]>;
  };
}

const STEP_MS = 1_000;

/** The id of the execution that is requested after `earlier` others. */
export const idAfter = (earlier: number) => `execution-${earlier}` as ExecutionId;

export function createLanesWorld(): LanesWorld {
  const agent = createLanesAgent();
  const rows = new Map<string, Stored>();
  const kernelRestarts: Batch['kernelRestarts'] = [];
  let cursor = { seq: 0, progress: null as unknown };
  let clock = Date.UTC(2026, 0);
  const unfinished = () =>
    [...rows.values()].filter(({ execution }) => execution.finishedAt === null);
  const laneOf = ({ id }: Execution) => rows.get(id)?.lane ?? DEFAULT_LANE;
  const start = (): LanesStart => ({
    cursor,
    unfinished: unfinished().map(({ execution, lastSeq }) => ({ execution, code: 'x', lastSeq })),
    laneOf,
    kernelRestartedAt: (lane) => (lane === DEFAULT_LANE && kernelRestarts.at(-1)?.at) || null,
  });
  /** Code on its way to the agent. */
  let onItsWay: string[] = [];
  const send = (id: string) => onItsWay.push(id);
  let gateway = createGateway(start(), send);

  function request(lane: LaneKey): void {
    const executionId = idAfter(rows.size);
    const execution = queuedExecution({ executionId, at: new Date(clock).toISOString() });
    rows.set(executionId, { lane, execution, text: '', lastSeq: 0, events: [] });
    gateway.enqueue({ execution, code: 'x', lastSeq: 0 });
  }

  function storeExecutions({ segments, kernelRestarts: restarts }: Batch): void {
    const batch = { ...emptyBatch(), segments, kernelRestarts: restarts };
    const { streams, outputs = [] } = batchCommit(batch, null);
    for (const { executionId, seq, output } of outputs) {
      const row = rows.get(executionId);
      if (row?.lastSeq !== seq - 1) throw new Error('An output is missing, or is stored twice.');
      row.lastSeq = seq;
      if (output.kind === 'stream') row.text += output.text;
    }
    for (const { id, events } of streams) {
      const row = rows.get(id);
      if (!row) throw new Error('Nobody asked for this execution.');
      for (const event of events as ExecutionEvent[]) {
        row.events.push(event);
        row.execution = evolveExecution(row.execution, event);
      }
    }
    for (const { job } of segments) {
      const row = rows.get(job.execution.id);
      if (row) Object.assign(job, { execution: row.execution, nextSeq: row.lastSeq + 1 });
    }
  }

  function store(): void {
    const { batch, progress } = gateway.takeBatch();
    if (batch.segments.length === 0 && batch.kernelRestarts.length === 0) return;
    cursor = { seq: batch.seq ?? cursor.seq, progress: JSON.parse(JSON.stringify(progress)) };
    kernelRestarts.push(...batch.kernelRestarts);
    storeExecutions(batch);
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
      gateway = createGateway(start(), send);
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
      return { executions, kernelRestarts, ran: agent.ran };
    },
  };
}

/** The parts of a gateway that follow messages and choose what runs next. It is always connected. */
function createGateway(start: LanesStart, send: (id: string) => unknown) {
  const lanes = createLanes(start);
  let batch = emptyBatch();
  const writer = {
    get batch() {
      return batch;
    },
    added: () => undefined,
    drained: async () => undefined,
    stop: () => undefined,
  };
  const sending = createSending({
    lanes,
    maySend: () => true,
    send: ({ msgId }) => send(msgId),
    isInterruptPending: () => false,
    interruptGraceMs: 1,
  });
  const { finish } = createFinishing({ lanes, writer, sending, now: () => new Date() });
  const session = { state: openSession() };
  sending.goOn();
  return {
    receive: createReceiving({ lanes, session, writer, sending, finish }),
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
