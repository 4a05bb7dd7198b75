import { describe, expect, it } from 'vitest';
import type { Context, ContextEvent } from '../../src/domain/context.ts';
import type { Execution, ExecutionEvent } from '../../src/domain/execution.ts';
import type { ExecutionOptions } from '../../src/domain/executionOptions.ts';
import type { ContextId, SessionId } from '../../src/domain/ids.ts';
import type { Session, SessionEvent } from '../../src/domain/session.ts';
import { storableText } from '../../src/domain/text.ts';
import type { Worker, WorkerEvent } from '../../src/domain/worker.ts';
import { rebuildProjections } from '../../src/events/projections/rebuildProjections.ts';
import type { StreamAppend } from '../../src/events/store/eventStore.ts';
import {
  commitOne,
  contextCreated,
  executionFinished,
  executionRequested,
  onContext,
  onExecution,
  onSession,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { NONE_OF_EACH } from '../support/forgettable.ts';
import { fc } from '../support/seeded.ts';

const db = await useDatabase();
const gateway = await db.open();

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\u0000', '\ud800x', 'x'));
const time = fc
  .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString());
const amount = fc.double({ min: 0, max: 1e12, noNaN: true });

const workerEvent: fc.Arbitrary<WorkerEvent> = fc.oneof(
  fc.record({
    type: fc.constant('WorkerStarted' as const),
    data: fc.record({
      at: time,
      containerId: fc.constantFrom('c1', 'c2'),
      socketPath: fc.constant('/s'),
    }),
  }),
  fc.record({
    type: fc.constant('WorkerReady' as const),
    data: fc.record({ at: time, readyMs: amount }),
  }),
  fc.record({
    type: fc.constant('WorkerRetired' as const),
    data: fc.record({ at: time, reason: fc.constantFrom('released' as const, 'expired' as const) }),
  }),
  fc.record({
    type: fc.constant('WorkerLost' as const),
    data: fc.record({
      at: time,
      reason: fc.constantFrom('oom' as const, 'exited' as const),
      exitCode: fc.option(fc.integer({ min: -64, max: 255 })),
      detail: fc.option(text),
    }),
  }),
  fc.record({
    type: fc.constant('WorkerAssigned' as const),
    data: fc.record({ at: time, sessionId: fc.uuid().map((id) => id as SessionId) }),
  }),
  fc.record({ type: fc.constant('WorkerRemoved' as const), data: fc.record({ at: time }) }),
);
const sessionEvent: fc.Arbitrary<SessionEvent> = fc.oneof(
  fc.record({
    type: fc.constant('KernelRestartRequested' as const),
    data: fc.record({ at: time }),
  }),
  fc.record({
    type: fc.constant('KernelRestarted' as const),
    data: fc.record({
      at: time,
      reason: fc.constantFrom('user' as const, 'oom' as const),
      executionId: fc.constant(null),
    }),
  }),
  fc.record({
    type: fc.constant('SessionClosed' as const),
    data: fc.record({ at: time, reason: fc.constantFrom('idle' as const, 'released' as const) }),
  }),
);
const files = fc.record({
  changes: fc.array(
    fc.record({
      path: fc.string({ minLength: 1 }).map(storableText),
      change: fc.constantFrom('CREATED' as const, 'MODIFIED' as const, 'DELETED' as const),
      size: fc.option(fc.maxSafeNat()),
      modifiedAt: fc.option(time),
    }),
  ),
  reason: fc.constant(null),
  shared: fc.boolean(),
});
const executionEvent: fc.Arbitrary<ExecutionEvent> = fc.oneof(
  fc.record({
    type: fc.constant('InterruptRequested' as const),
    data: fc.record({ at: time }),
  }),
  fc.record({
    type: fc.constant('ExecutionStarted' as const),
    data: fc.record({ at: time }),
  }),
  fc
    .record({
      at: time,
      status: fc.constantFrom('OK' as const, 'ERROR' as const, 'TIMEOUT' as const),
      executionCount: fc.option(fc.nat()),
      errorName: fc.option(text),
      errorValue: fc.option(text),
      cpuMs: fc.option(amount),
      peakMemoryBytes: fc.option(fc.maxSafeNat()),
      outputBytes: fc.maxSafeNat(),
      storedOutputBytes: fc.maxSafeNat(),
      truncated: fc.boolean(),
      files: fc.option(files),
    })
    .map(executionFinished),
);

const options: fc.Arbitrary<ExecutionOptions> = fc.oneof(
  fc.constant({}),
  fc.record(
    {
      language: fc.constant('BASH' as const),
      contextId: fc.uuid().map((id) => id as ContextId),
      workingDirectory: fc.constant('/tmp'),
      environmentVariableNames: fc.array(fc.constantFrom('A', 'B')),
      keepAlive: fc.constant(true as const),
      pty: fc.record({ columns: fc.nat(), rows: fc.nat() }),
    },
    { requiredKeys: [] },
  ),
);
const contextEvent: fc.Arbitrary<ContextEvent> = fc.oneof(
  fc.record({
    type: fc.constant('ContextStarted' as const),
    data: fc.record({ at: time, readyMs: amount }),
  }),
  fc.record({
    type: fc.constant('ContextRestarted' as const),
    data: fc.record({
      at: time,
      reason: fc.constantFrom('user' as const, 'oom' as const),
      executionId: fc.constant(null),
    }),
  }),
  fc.record({
    type: fc.constant('ContextDeleteRequested' as const),
    data: fc.record({ at: time }),
  }),
  fc.record({
    type: fc.constant('ContextEnded' as const),
    data: fc.record({ at: time, reason: fc.constantFrom('deleted' as const, 'failed' as const) }),
  }),
);

const step = fc.oneof(
  fc.record({ kind: fc.constant('worker' as const), which: fc.nat(), event: workerEvent }),
  fc.record({ kind: fc.constant('session' as const), which: fc.nat(), event: sessionEvent }),
  fc.record({ kind: fc.constant('execution' as const), which: fc.nat(), event: executionEvent }),
  fc.record({
    kind: fc.constant('new' as const),
    which: fc.nat({ max: 3 }),
    code: text,
    options,
  }),
  fc.record({ kind: fc.constant('context' as const), which: fc.nat(), event: contextEvent }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Plays steps on new streams. Each step hits one of the streams that exist by then. */
async function play(steps: readonly Step[], userUuid: string): Promise<void> {
  const workers: Worker[] = [];
  const sessions: Session[] = [];
  const executions: Execution[] = [];
  const contexts: Context[] = [];
  const { store } = gateway;
  const change = async <S>(list: S[], which: number, append: (state: S) => StreamAppend) => {
    const index = which % Math.max(list.length, 1);
    const state = list[index];
    if (state === undefined) return;
    list[index] = (await commitOne(store, append(state))) as S;
  };
  for (const next of steps) {
    switch (next.kind) {
      case 'worker':
        await change(workers, next.which, (state) => onWorker(state, next.event));
        break;
      case 'session':
        await change(sessions, next.which, (state) => onSession(state, next.event));
        break;
      case 'execution':
        await change(executions, next.which, (state) => onExecution(state, next.event));
        break;
      case 'context':
        await change(contexts, next.which, (state) => onContext(state, next.event));
        break;
      case 'new':
        if (next.which === 0) workers.push(await commitOne<'worker'>(store, workerRequested()));
        if (next.which === 1) {
          const user = `${userUuid}-${sessions.length}`;
          sessions.push(await commitOne<'session'>(store, sessionOpened({ userUuid: user })));
        }
        if (next.which === 2) {
          const append = executionRequested({ code: next.code, ...next.options });
          executions.push(await commitOne<'execution'>(store, append));
        }
        if (next.which === 3 && sessions[0]) {
          const append = contextCreated(sessions[0], { slot: contexts.length });
          contexts.push(await commitOne<'context'>(store, append));
        }
        break;
      default:
        next satisfies never;
    }
  }
}

async function tables(): Promise<unknown> {
  return [
    [...(await db.sql`SELECT * FROM workers ORDER BY id`)],
    [...(await db.sql`SELECT * FROM sessions ORDER BY id`)],
    [...(await db.sql`SELECT * FROM executions ORDER BY id`)],
    [...(await db.sql`SELECT * FROM contexts ORDER BY id`)],
  ];
}

describe('rebuildProjections', () => {
  it('finds the live tables equal to what the events say, for arbitrary histories', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        run += 1;
        await play(steps, `user-${run}`);
        const before = await tables();
        const { differing } = await rebuildProjections(db.address);
        expect(differing).toEqual(NONE_OF_EACH);
        expect(await tables()).toEqual(before);
      }),
      { numRuns: 25 },
    );
  });

  it('repairs rows that are wrong, missing or superfluous, and says how many', async () => {
    await commitOne(gateway.store, workerRequested());
    const { sql } = db;
    const execution = await commitOne<'execution'>(gateway.store, executionRequested());
    const session = await commitOne<'session'>(gateway.store, sessionOpened({ userUuid: 'fix' }));
    const before = await tables();
    await sql`UPDATE executions SET status = 'OK', requested_position = 0 WHERE id = ${execution.id}`;
    await sql`DELETE FROM sessions WHERE id = ${session.id}`;
    await sql`INSERT INTO workers SELECT (json_populate_record(w, '{"id": "00000000-0000-0000-0000-000000000001"}')).*
      FROM workers w LIMIT 1`;
    const { differing } = await rebuildProjections(db.address);
    expect(differing).toEqual({ ...NONE_OF_EACH, workers: 1, sessions: 1, executions: 1 });
    expect(await tables()).toEqual(before);
  });

  it('loses nothing that is committed meanwhile', async () => {
    let isDone = false;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let n = 0; !isDone; n += 1) {
        const execution = await commitOne<'execution'>(gateway.store, executionRequested());
        await commitOne(gateway.store, onExecution(execution, executionFinished()));
        await commitOne(gateway.store, sessionOpened({ userUuid: `meanwhile-${writer}-${n}` }));
      }
    });
    for (let n = 0; n < 5; n += 1) {
      const { differing } = await rebuildProjections(db.address);
      expect(differing).toEqual(NONE_OF_EACH);
    }
    isDone = true;
    await Promise.all(writers);
    expect((await rebuildProjections(db.address)).differing.executions).toBe(0);
  });
});
