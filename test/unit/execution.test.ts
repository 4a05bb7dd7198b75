import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WrongStateError } from '../../src/domain/decider.ts';
import {
  decideExecution,
  type Ending,
  type EndStatus,
  type Execution,
  type ExecutionCommand,
  type ExecutionEvent,
  evolveExecution,
} from '../../src/domain/execution.ts';
import type { ExecutionId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';

const T0 = Date.parse('2026-01-02T03:04:05.000Z');
/** So many milliseconds after the request. */
const time = (ms: number) => new Date(T0 + ms).toISOString();

const request = {
  type: 'RequestExecution',
  at: time(0),
  executionId: newId<ExecutionId>(),
  sessionId: newId<SessionId>(),
  workerId: newId<WorkerId>(),
  tenant: 'default',
  userUuid: 'ann',
  code: 'a',
  codeSha256: 'f'.repeat(64),
  codeBytes: 1,
  timeoutMs: 10_000,
  maxOutputBytes: 1_000,
  idempotencyKey: null,
  stateLost: false,
} as const satisfies ExecutionCommand;

const ending: Ending = {
  status: 'OK',
  executionCount: 1,
  errorName: null,
  errorValue: null,
  stateLost: false,
  truncated: false,
  cpuMs: 5,
  peakMemoryBytes: 1_000,
  outputBytes: 3,
  exitCode: null,
};

function started(ms: number): ExecutionCommand {
  return { type: 'RecordStart', at: time(ms) };
}

function finish(
  ms: number,
  more: { startedAt?: number; ending?: Partial<Ending> } = {},
): Extract<ExecutionCommand, { type: 'FinishExecution' }> {
  return {
    type: 'FinishExecution',
    at: time(ms),
    startedAt: more.startedAt === undefined ? null : time(more.startedAt),
    ending: { ...ending, ...more.ending },
  };
}

const interrupt: ExecutionCommand = { type: 'RequestInterrupt', at: time(3) };

function given(...commands: readonly ExecutionCommand[]): Execution | null {
  return commands.reduce<Execution | null>(
    (execution, command) => decideExecution(command, execution).reduce(evolveExecution, execution),
    null,
  );
}

describe('an execution', () => {
  it('given none, when requested: it is queued', () => {
    const { type: _, ...data } = request;
    expect(decideExecution(request, null)).toEqual([{ type: 'ExecutionRequested', data }]);
    expect(given(request)?.status).toBe('QUEUED');
  });

  it.each([started(1), interrupt, finish(1)])('given none, when $type: refused', (command) => {
    expect(() => decideExecution(command, null)).toThrow(WrongStateError);
  });

  it.each([
    ['queued', given(request)],
    ['running', given(request, started(1))],
    ['finished', given(request, finish(1))],
  ])('given one that is %s, when requested again: refused', (_state, execution) => {
    expect(() => decideExecution(request, execution)).toThrow(WrongStateError);
  });

  it('given queued, when started: it runs', () => {
    expect(decideExecution(started(4), given(request))).toEqual([
      { type: 'ExecutionStarted', data: { at: time(4) } },
    ]);
    expect(given(request, started(4))?.status).toBe('RUNNING');
  });

  it('given running, when started again: nothing', () => {
    expect(decideExecution(started(5), given(request, started(4)))).toEqual([]);
  });

  it.each([
    ['queued', given(request)],
    ['running', given(request, started(1))],
    ['asked to end', given(request, interrupt)],
  ])(
    'given one that is %s, when an interrupt is asked for: that is recorded, and no more',
    (_state, execution) => {
      const events = decideExecution(interrupt, execution);
      expect(events).toEqual([{ type: 'InterruptRequested', data: { at: time(3) } }]);
      const after = events.reduce(evolveExecution, execution);
      expect(after).toEqual({ ...execution, version: (execution?.version ?? 0) + 1 });
    },
  );

  it('given running, when finished: it tells how long it waited and ran', () => {
    expect(decideExecution(finish(30, { startedAt: 99 }), given(request, started(10)))).toEqual([
      {
        type: 'ExecutionFinished',
        data: { at: time(30), ...ending, queuedMs: 10, runMs: 20 },
      },
    ]);
  });

  it('given queued, when finished by a kernel whose start nobody recorded: both, in order', () => {
    expect(decideExecution(finish(30, { startedAt: 10 }), given(request))).toEqual([
      { type: 'ExecutionStarted', data: { at: time(10) } },
      {
        type: 'ExecutionFinished',
        data: { at: time(30), ...ending, queuedMs: 10, runMs: 20 },
      },
    ]);
  });

  it.each<EndStatus>(['CANCELLED', 'WORKER_LOST'])(
    'given queued, when %s without a start: it has waited and never run',
    (status) => {
      const events = decideExecution(finish(30, { ending: { status } }), given(request));
      expect(events).toHaveLength(1);
      expect(events[0]?.data).toMatchObject({ status, queuedMs: 30, runMs: null });
    },
  );

  it.each([started(9), interrupt, finish(9), finish(9, { startedAt: 8 })])(
    'given finished, when $type: nothing',
    (command) => {
      expect(decideExecution(command, given(request, started(1), finish(2)))).toEqual([]);
      expect(decideExecution(command, given(request, finish(2)))).toEqual([]);
    },
  );

  it('loses state if it was lost before it was accepted, or while it ran', () => {
    const lost = given({ ...request, stateLost: true });
    expect(lost?.stateLost).toBe(true);
    expect(decideExecution(finish(1), lost).at(-1)?.data).toMatchObject({ stateLost: true });
    const kept = given(request);
    expect(decideExecution(finish(1), kept).at(-1)?.data).toMatchObject({ stateLost: false });
    const replaced = finish(1, { ending: { stateLost: true } });
    expect(decideExecution(replaced, kept).at(-1)?.data).toMatchObject({ stateLost: true });
  });

  it('takes no time from before the request, whatever the worker says', () => {
    expect(given(request, started(-50))?.startedAt).toEqual(new Date(T0));
    expect(given(request, finish(-10, { startedAt: -50 }))).toMatchObject({
      startedAt: new Date(T0),
      finishedAt: new Date(T0),
      queuedMs: 0,
      runMs: 0,
    });
  });

  it('keeps error texts short', () => {
    const long = finish(1, {
      ending: { status: 'ERROR', errorName: 'N'.repeat(5_000), errorValue: 'v'.repeat(50_000) },
    });
    const done = given(request, long);
    expect(done?.errorName).toHaveLength(200);
    expect(done?.errorValue).toHaveLength(1_000);
  });
});

describe('any sequence of commands on an execution', () => {
  const ms = fc.integer({ min: -100_000, max: 100_000 });
  const status = fc.constantFrom<EndStatus>(
    'OK',
    'ERROR',
    'TIMEOUT',
    'INTERRUPTED',
    'WORKER_LOST',
    'CANCELLED',
  );
  const command: fc.Arbitrary<ExecutionCommand> = fc.oneof(
    fc.boolean().map((stateLost) => ({ ...request, stateLost })),
    ms.map(started),
    fc.constant(interrupt),
    fc
      .record({ at: ms, startedAt: fc.option(ms, { nil: undefined }), status, lost: fc.boolean() })
      .map((end) =>
        finish(end.at, {
          ...(end.startedAt !== undefined && { startedAt: end.startedAt }),
          ending: { status: end.status, stateLost: end.lost },
        }),
      ),
  );

  it('is requested first, starts at most once, ends at most once and last, and never in the past', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        let execution: Execution | null = null;
        const events: ExecutionEvent[] = [];
        for (const next of commands) {
          for (const event of tryDecide(next, execution)) {
            execution = evolveExecution(execution, event);
            events.push(event);
          }
        }
        const order = ['ExecutionRequested', 'ExecutionStarted', 'ExecutionFinished'];
        const steps = events.map(({ type }) => order.indexOf(type)).filter((step) => step >= 0);
        expect(steps).toEqual([...new Set(steps)].sort());
        if (execution === null) return;
        if (execution.finishedAt !== null) expect(events.at(-1)?.type).toBe('ExecutionFinished');
        expect(steps[0]).toBe(0);
        expect(execution.version).toBe(events.length);
        expect(execution.queuedMs ?? 0).toBeGreaterThanOrEqual(0);
        expect(execution.runMs ?? 0).toBeGreaterThanOrEqual(0);
        for (const { data } of events) expect(Date.parse(data.at)).toBeGreaterThanOrEqual(T0);
        expect(execution.runMs === null).toBe(
          execution.finishedAt === null || execution.startedAt === null,
        );
      }),
    );
  });

  it('never forgets that state was lost', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        let execution: Execution | null = null;
        let wasLost = false;
        for (const next of commands) {
          for (const event of tryDecide(next, execution))
            execution = evolveExecution(execution, event);
          wasLost ||= execution?.stateLost ?? false;
          expect(execution?.stateLost ?? false).toBe(wasLost);
        }
      }),
    );
  });

  function tryDecide(next: ExecutionCommand, execution: Execution | null): ExecutionEvent[] {
    try {
      return decideExecution(next, execution);
    } catch (error: unknown) {
      if (error instanceof WrongStateError) return [];
      throw error;
    }
  }
});
