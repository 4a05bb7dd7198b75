import { describe, expect, it } from 'vitest';
import { WrongStateError } from '../../src/domain/decider.ts';
import {
  decideExecution,
  type Ending,
  type EndStatus,
  type ExecutionCommand,
  type ExecutionEvent,
  evolveExecution,
} from '../../src/domain/execution.ts';
import type { ExecutionId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';
import { fc } from '../support/seeded.ts';

const T0 = Date.parse('2026-01-02T03:04:05.000Z');
/** The time this many milliseconds after the request. */
const time = (ms: number) => new Date(T0 + ms).toISOString();

const asked = {
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
};
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
  storedOutputBytes: 67,
  exitCode: null,
  files: null,
};

const request: ExecutionCommand = { type: 'RequestExecution', ...asked };
const interrupt: ExecutionCommand = { type: 'RequestInterrupt', at: time(3) };
const start = (ms: number): ExecutionCommand => ({ type: 'RecordStart', at: time(ms) });
/** @param startedAt the start according to the kernel */
const finish = (
  ms: number,
  { startedAt, ...how }: Partial<Ending> & { startedAt?: number } = {},
): ExecutionCommand => ({
  type: 'FinishExecution',
  at: time(ms),
  start: startedAt === undefined ? null : { at: time(startedAt) },
  ending: { ...ending, ...how },
});

const requested: ExecutionEvent = { type: 'ExecutionRequested', data: asked };
const interrupted: ExecutionEvent = { type: 'InterruptRequested', data: { at: time(3) } };
const started = (ms: number): ExecutionEvent => ({
  type: 'ExecutionStarted',
  data: { at: time(ms) },
});
/** @param runMs null: it never ran */
const finished = (
  ms: number,
  {
    queuedMs = ms,
    runMs = null,
    ...how
  }: Partial<Ending> & { queuedMs?: number; runMs?: number | null } = {},
): ExecutionEvent => ({
  type: 'ExecutionFinished',
  data: { at: time(ms), ...ending, queuedMs, runMs, ...how },
});

/** An execution that may get input. */
const waiting: ExecutionEvent = {
  type: 'ExecutionRequested',
  data: { ...asked, allowInput: true },
};
const piece = (offset: number, text: string, close = false) => {
  const bytes = Buffer.byteLength(text);
  return { at: time(4), offset, bytes, close, ...(bytes > 0 && { text }) };
};
const send = (offset: number, text: string, close?: boolean): ExecutionCommand => ({
  type: 'SendInput',
  ...piece(offset, text, close),
});
const sent = (offset: number, text: string, close?: boolean): ExecutionEvent => ({
  type: 'InputSent',
  data: piece(offset, text, close),
});

const { given, play } = deciderSpecification({ decide: decideExecution, evolve: evolveExecution });

describe('an execution', () => {
  it('given none, when requested: it is queued', () => {
    given().when(request).then(requested);
    expect(given(requested).state?.status).toBe('QUEUED');
  });

  it('given none, when plain code is requested: it is a cell of the default context', () => {
    expect(given(requested).state).toMatchObject({
      language: 'PYTHON',
      contextId: null,
      keepsAlive: true,
      options: null,
    });
  });

  it('given none, when a command is requested with options: they are recorded and in its state', () => {
    const stored = {
      ...({ workingDirectory: '/tmp', allowInput: true, stopOnError: true } as const),
      ...({ label: 'a', silent: true, storeHistory: false } as const),
    };
    const data = { ...asked, language: 'BASH', ...stored } as const;
    given()
      .when({ ...request, language: 'BASH', ...stored } as ExecutionCommand)
      .then({ type: 'ExecutionRequested', data });
    const state = { language: 'BASH', keepsAlive: false, options: stored, exitCode: null };
    expect(given({ type: 'ExecutionRequested', data }).state).toMatchObject(state);
    const server: ExecutionEvent = {
      type: 'ExecutionRequested',
      data: { ...data, keepAlive: true },
    };
    expect(given(server).state).toMatchObject({ keepsAlive: true, options: stored });
  });

  it('given one that ends with an exit code: a command has it, a cell has not', () => {
    const command: ExecutionEvent = { ...requested, data: { ...asked, language: 'BASH' } };
    const end = finished(5, { exitCode: 3, signal: null });
    expect(given(command, end).state).toMatchObject({ exitCode: 3, signal: null });
    expect(given(requested, end).state).toMatchObject({ exitCode: null });
    const killed = finished(5, { exitCode: null, signal: 'SIGKILL' });
    expect(given(command, killed).state).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
  });

  it.each([start(1), interrupt, finish(1)])('given none, when $type: refused', (command) => {
    given().when(command).thenThrows();
  });

  it.each([
    ['queued', [requested]],
    ['running', [requested, started(1)]],
    ['finished', [requested, finished(1)]],
  ])('given one that is %s, when requested again: refused', (_state, events) => {
    given(...events)
      .when(request)
      .thenThrows();
  });

  it('given queued, when started: it runs', () => {
    given(requested).when(start(4)).then(started(4));
    expect(given(requested, started(4)).state?.status).toBe('RUNNING');
  });

  it('given running, when started again: nothing', () => {
    given(requested, started(4)).when(start(5)).then();
  });

  it.each([
    ['queued', [requested]],
    ['running', [requested, started(1)]],
    ['asked to end', [requested, interrupted]],
  ])(
    'given one that is %s, when an interrupt is requested: the request is recorded, and nothing else',
    (_state, events) => {
      given(...events)
        .when(interrupt)
        .then(interrupted);
      const { state } = given(...events);
      const after = given(...events, interrupted).state;
      expect(after).toEqual({ ...state, version: events.length + 1 });
    },
  );

  it('given running, when finished: the event says how long it waited and ran', () => {
    given(requested, started(10))
      .when(finish(30, { startedAt: 99 }))
      .then(finished(30, { queuedMs: 10, runMs: 20 }));
  });

  it('has its execution count from its start on; if its end has one, that one counts', () => {
    const begun: ExecutionEvent = {
      type: 'ExecutionStarted',
      data: { at: time(10), executionCount: 7 },
    };
    given(requested)
      .when({ type: 'RecordStart', at: time(10), executionCount: 7 })
      .then(begun);
    expect(given(requested, begun).state?.executionCount).toBe(7);
    const of = (executionCount: number | null) => finished(30, { executionCount, runMs: 20 });
    expect(given(requested, begun, of(null)).state?.executionCount).toBe(7);
    expect(given(requested, begun, of(6)).state?.executionCount).toBe(7);
    expect(given(requested, started(10), of(6)).state?.executionCount).toBe(6);
    expect(given(requested, started(10), of(null)).state?.executionCount).toBeNull();
  });

  it('has the process id of its command from its start on', () => {
    const data = { at: time(10), pid: 7 };
    const begun: ExecutionEvent = { type: 'ExecutionStarted', data };
    given(requested)
      .when({ type: 'RecordStart', ...data })
      .then(begun);
    expect(given(requested, begun).state?.pid).toBe(7);
    expect(given(requested, begun, finished(30, { runMs: 20 })).state?.pid).toBe(7);
    expect(given(requested, started(10)).state?.pid).toBeNull();
    const { state } = given(requested);
    const late = { ...finish(30), start: data } as ExecutionCommand;
    expect(decideExecution(late, state ?? null)[0]).toEqual(begun);
  });

  it('gets a signal other than SIGINT only if it is a command', () => {
    const asking: ExecutionCommand = { type: 'RequestInterrupt', at: time(3), signal: 'SIGKILL' };
    const command: ExecutionEvent = {
      type: 'ExecutionRequested',
      data: { ...asked, language: 'BASH' },
    };
    given(command)
      .when(asking)
      .then({ type: 'InterruptRequested', data: { at: time(3), signal: 'SIGKILL' } });
    const { state } = given(requested);
    expect(() => decideExecution(asking, state ?? null)).toThrow(WrongStateError);
  });

  it('given queued, when finished without a recorded start: start and finish, in order', () => {
    given(requested)
      .when(finish(30, { startedAt: 10 }))
      .then(started(10), finished(30, { queuedMs: 10, runMs: 20 }));
  });

  it.each<EndStatus>(['CANCELLED', 'WORKER_LOST'])(
    'given queued, when %s without a start: it has waited and never run',
    (status) => {
      given(requested)
        .when(finish(30, { status }))
        .then(finished(30, { status, queuedMs: 30, runMs: null }));
    },
  );

  it.each([start(9), interrupt, finish(9), finish(9, { startedAt: 8 })])(
    'given finished, when $type: nothing',
    (command) => {
      given(requested, started(1), finished(2)).when(command).then();
      given(requested, finished(2)).when(command).then();
    },
  );

  it('reports lost state if the loss came before it was accepted, or while it ran', () => {
    const lost: ExecutionEvent = {
      type: 'ExecutionRequested',
      data: { ...asked, stateLost: true },
    };
    expect(given(lost).state?.stateLost).toBe(true);
    given(lost)
      .when(finish(1))
      .then(finished(1, { stateLost: true }));
    given(requested)
      .when(finish(1))
      .then(finished(1, { stateLost: false }));
    given(requested)
      .when(finish(1, { stateLost: true }))
      .then(finished(1, { stateLost: true }));
  });

  it('has no times before its request, whatever the worker reports', () => {
    given(requested).when(start(-50)).then(started(0));
    given(requested)
      .when(finish(-10, { startedAt: -50 }))
      .then(started(0), finished(0, { queuedMs: 0, runMs: 0 }));
  });

  it('keeps error texts short', () => {
    const failed = (nameChars: number, valueChars: number) => ({
      status: 'ERROR' as const,
      errorName: 'N'.repeat(nameChars),
      errorValue: 'v'.repeat(valueChars),
    });
    given(requested)
      .when(finish(1, failed(5_000, 50_000)))
      .then(finished(1, failed(200, 1_000)));
  });
});

describe('the input of an execution', () => {
  it.each([
    ['queued', [waiting]],
    ['running', [waiting, started(1)]],
  ])('given one that is %s: input is recorded with its offset, and counted', (_state, events) => {
    given(...events)
      .when(send(0, 'naïve\n'))
      .then(sent(0, 'naïve\n'));
    given(...events, sent(0, 'naïve\n'))
      .when(send(7, 'b'))
      .then(sent(7, 'b'));
    const { state } = given(...events, sent(0, 'naïve\n'), sent(7, 'b'));
    expect(state).toMatchObject({ inputBytes: 8, inputClosed: false, version: events.length + 2 });
  });

  it('ends once, with or without bytes', () => {
    given(waiting)
      .when(send(0, '', true))
      .then(sent(0, '', true));
    given(waiting)
      .when(send(0, 'a', true))
      .then(sent(0, 'a', true));
    expect(given(waiting, sent(0, 'a', true)).state).toMatchObject({
      inputBytes: 1,
      inputClosed: true,
    });
    given(waiting, sent(0, 'a', true))
      .when(send(1, 'b'))
      .thenThrows(/closed/);
  });

  it('has no hole and no bytes twice', () => {
    given(waiting, sent(0, 'ab')).when(send(3, 'd')).thenThrows(/at 2/);
    given(waiting, sent(0, 'ab')).when(send(1, 'b')).thenThrows(/at 2/);
  });

  it('is refused if the execution was requested without input, and not recorded after its end', () => {
    given(requested)
      .when(send(0, 'a'))
      .thenThrows(/without input/);
    given(waiting, finished(2)).when(send(0, 'a')).then();
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
    ms.map(start),
    fc.constant(interrupt),
    fc
      .record({ at: ms, startedAt: fc.option(ms, { nil: undefined }), status, lost: fc.boolean() })
      .map((end) =>
        finish(end.at, {
          ...(end.startedAt !== undefined && { startedAt: end.startedAt }),
          status: end.status,
          stateLost: end.lost,
        }),
      ),
  );

  it('has a request, then at most one start, then at most one end, and no time before the request', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        const played = play(commands);
        const events = played.map(([event]) => event);
        const execution = played.at(-1)?.[1] ?? null;
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
        const lost = play(commands).map(([, { stateLost }]) => stateLost);
        expect(lost).toEqual([...lost].sort((one, other) => Number(one) - Number(other)));
      }),
    );
  });
});
