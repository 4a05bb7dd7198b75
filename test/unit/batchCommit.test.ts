import { describe, expect, it } from 'vitest';
import type { Context, ContextCommand } from '../../src/domain/context.ts';
import type { Ending, Execution } from '../../src/domain/execution.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import type { Output } from '../../src/domain/output.ts';
import type { Session } from '../../src/domain/session.ts';
import {
  addOutput,
  batchCommit,
  ENDED_WORKER,
  emptyBatch,
  type Job,
  type StoredWorker,
  segmentOf,
} from '../../src/worker/batch.ts';
import { reloadSegments } from '../../src/worker/writer.ts';
import { openContext, openSession, queuedExecution } from '../support/states.ts';

const requestedAt = new Date('2026-01-02T03:04:05.000Z');
const later = (ms: number) => new Date(requestedAt.getTime() + ms);
const ending: Ending = {
  status: 'OK',
  executionCount: 1,
  errorName: null,
  errorValue: null,
  stateLost: false,
  truncated: false,
  cpuMs: 1,
  peakMemoryBytes: 1,
  outputBytes: 1,
  storedOutputBytes: 65,
  exitCode: null,
  files: null,
};

function job(over: Partial<Execution> = {}, nextSeq = 1): Job {
  const execution = { ...queuedExecution({ at: requestedAt.toISOString() }), ...over };
  return { execution, code: 'x', isTakenOver: false, nextSeq, stateLost: false };
}

const out = (text: string): Output => ({ kind: 'stream', name: 'stdout', text });

const withSession = (session: Session): StoredWorker => ({ ...ENDED_WORKER, session });
const withContexts = (...contexts: Context[]): StoredWorker => ({
  session: null,
  context: (id: ContextId) => contexts.find((each) => each.id === id),
});

describe('the commit of a batch', () => {
  it('is empty when nothing came', () => {
    expect(batchCommit(emptyBatch(), withSession(openSession()))).toEqual({
      streams: [],
      outputs: [],
    });
  });

  it('records the start, and numbers the outputs from the next seq of the job', () => {
    const batch = emptyBatch();
    const one = job({}, 5);
    segmentOf(batch, one).start = { at: later(3), executionCount: 7 };
    addOutput(batch, one, out('a'), later(4));
    addOutput(batch, one, { kind: 'clear', wait: false }, later(5));
    const executionId = one.execution.id;
    expect(batchCommit(batch, ENDED_WORKER)).toEqual({
      streams: [
        {
          stream: 'execution',
          id: executionId,
          state: one.execution,
          events: [
            { type: 'ExecutionStarted', data: { at: later(3).toISOString(), executionCount: 7 } },
          ],
        },
      ],
      outputs: [
        { executionId, seq: 5, at: later(4), output: out('a') },
        { executionId, seq: 6, at: later(5), output: { kind: 'clear', wait: false } },
      ],
    });
  });

  it('appends no event for an execution that only has more output', () => {
    const batch = emptyBatch();
    addOutput(batch, job({ startedAt: later(1), status: 'RUNNING' }), out('a'), later(2));
    expect(batchCommit(batch, ENDED_WORKER)).toMatchObject({ streams: [], outputs: [{ seq: 1 }] });
  });

  it('ends with the finish, after the outputs and in the same commit', () => {
    const batch = emptyBatch();
    const one = job({}, 2);
    addOutput(batch, one, out('a'), later(4));
    Object.assign(segmentOf(batch, one), {
      start: { at: later(1) },
      end: { at: later(9), ending },
    });
    const { streams, outputs } = batchCommit(batch, ENDED_WORKER);
    expect(streams[0]?.events.map(({ type }) => type)).toEqual([
      'ExecutionStarted',
      'ExecutionFinished',
    ]);
    expect(outputs?.map(({ seq, output }) => [seq, output.kind])).toEqual([
      [2, 'stream'],
      [3, 'finish'],
    ]);
  });

  it('adds nothing to an execution that has ended already', () => {
    const batch = emptyBatch();
    const over = job({ finishedAt: later(5), status: 'WORKER_LOST' });
    addOutput(batch, over, out('late'), later(6));
    segmentOf(batch, over).end = { at: later(7), ending };
    expect(batchCommit(batch, ENDED_WORKER)).toEqual({ streams: [], outputs: [] });
  });

  it('holds the outputs and ends of several executions, each with its own numbers', () => {
    const batch = emptyBatch();
    const [one, other] = [job({}, 7), job()];
    addOutput(batch, one, out('a'), later(1));
    segmentOf(batch, one).end = { at: later(2), ending };
    addOutput(batch, other, out('b'), later(3));
    const { streams, outputs } = batchCommit(batch, ENDED_WORKER);
    expect(streams.map(({ id }) => id)).toEqual([one.execution.id]);
    expect(outputs?.map(({ executionId, seq }) => [executionId, seq])).toEqual([
      [one.execution.id, 7],
      [one.execution.id, 8],
      [other.execution.id, 1],
    ]);
  });

  it('records each kernel restart in the session, in order', () => {
    const batch = emptyBatch();
    const session = openSession();
    const executionId = queuedExecution().id;
    batch.kernelRestarts.push(
      { at: later(1), reason: 'timeout', executionId },
      { at: later(2), reason: 'user', executionId: null },
    );
    expect(batchCommit(batch, withSession(session)).streams).toEqual([
      {
        stream: 'session',
        id: session.id,
        state: session,
        events: [
          {
            type: 'KernelRestarted',
            data: { at: later(1).toISOString(), reason: 'timeout', executionId },
          },
          {
            type: 'KernelRestarted',
            data: { at: later(2).toISOString(), reason: 'user', executionId: null },
          },
        ],
      },
    ]);
    expect(batchCommit(batch, ENDED_WORKER).streams).toEqual([]);
    expect(batchCommit(batch, withSession({ ...session, closedAt: later(0) })).streams).toEqual([]);
  });

  it("records each fact about a context once, in order, in the context's own stream", () => {
    const batch = emptyBatch();
    const [one, other, ended] = [openContext(), openContext(), openContext()];
    const at = later(1).toISOString();
    const start: ContextCommand = { type: 'RecordContextStart', at, readyMs: 40 };
    const restart = {
      type: 'RecordContextRestart',
      at,
      reason: 'died',
      executionId: null,
    } as const;
    batch.contextFacts.push(
      { contextId: one.id, command: start },
      { contextId: other.id, command: start },
      { contextId: ended.id, command: start },
      { contextId: one.id, command: start },
      { contextId: one.id, command: restart },
    );
    const started = { type: 'ContextStarted', data: { at, readyMs: 40 } };
    expect(batchCommit(batch, withContexts(one, other)).streams).toEqual([
      {
        stream: 'context',
        id: one.id,
        state: one,
        events: [
          started,
          { type: 'ContextRestarted', data: { at, reason: 'died', executionId: null } },
        ],
      },
      { stream: 'context', id: other.id, state: other, events: [started] },
    ]);
  });
});

describe('a batch that is already stored in part, because an answer was lost,', () => {
  /** What the commit adds of a batch that begins at seq 5, if outputs up to `lastSeq` are stored. */
  async function again(lastSeq: number, isOver = false) {
    const batch = emptyBatch();
    const one = job({}, 5);
    for (const text of ['a', 'b', 'c']) {
      addOutput(batch, one, out(text), later(1));
      addOutput(batch, one, { kind: 'clear', wait: false }, later(1));
    }
    if (isOver) segmentOf(batch, one).end = { at: later(9), ending };
    const reloadExecution = async () => null;
    await reloadSegments({ reloadExecution, lastSeq: async () => lastSeq }, batch.segments);
    return (batchCommit(batch, ENDED_WORKER).outputs ?? []).map(({ seq, output }) => [
      seq,
      'text' in output ? output.text : output.kind,
    ]);
  }

  it('adds the rest, each output at its own seq', async () => {
    expect(await again(4)).toEqual([
      [5, 'a'],
      [6, 'clear'],
      [7, 'b'],
      [8, 'clear'],
      [9, 'c'],
      [10, 'clear'],
    ]);
    expect(await again(8)).toEqual([
      [9, 'c'],
      [10, 'clear'],
    ]);
    expect(await again(10)).toEqual([]);
  });

  it('adds the finish after the rest', async () => {
    expect(await again(9, true)).toEqual([
      [10, 'clear'],
      [11, 'finish'],
    ]);
  });
});
