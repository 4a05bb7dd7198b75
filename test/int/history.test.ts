/** The state at any past time can be read back from events exactly. */

import { describe, expect, it } from 'vitest';
import { WrongStateError } from '../../src/domain/decider.ts';
import type { SessionId, WorkerId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import {
  decideWorker,
  type Worker,
  type WorkerCommand,
  type WorkerEvent,
} from '../../src/domain/worker.ts';
import { newId } from '../../src/process/newId.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onSession,
  onWorker,
  POOL_ID,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { fc } from '../support/seeded.ts';
import { databaseService } from '../support/serviceGateways.ts';
import { startTransport } from '../support/transportServer.ts';

const db = await useDatabase();
const gateway = await db.open();
const service = databaseService(gateway);

/** Reads the database's clock at a millisecond in which no event is recorded. */
async function instant(): Promise<Date> {
  const [row] = await db.sql<{ at: Date }[]>`
    SELECT date_trunc('milliseconds', clock_timestamp()) AS at, pg_sleep(0.002)`;
  if (!row) throw new Error('The database has no clock.');
  return row.at;
}

const commandType = fc.constantFrom<WorkerCommand['type']>(
  'RecordStart',
  'RecordReady',
  'AssignWorker',
  'RetireWorker',
  'RecordLoss',
  'RecordRemoval',
);

function eventsOf(type: WorkerCommand['type'], worker: Worker): WorkerEvent[] {
  const at = new Date().toISOString();
  const facts = {
    containerId: 'c',
    socketPath: '/s',
    readyMs: 1,
    sessionId: newId<SessionId>(),
    exitCode: null,
    detail: null,
  };
  const reason = type === 'RecordLoss' ? 'exited' : 'recycled';
  try {
    return decideWorker({ type, at, reason, ...facts } as WorkerCommand, worker);
  } catch (error: unknown) {
    if (error instanceof WrongStateError) return [];
    throw error;
  }
}

describe('poolAt', () => {
  it('is the state of the pool at every moment of arbitrary lives of workers', async () => {
    const steps = fc.array(fc.tuple(fc.nat({ max: 3 }), commandType), { maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(steps, async (commands) => {
        const moments = [];
        const workers: Worker[] = [];
        for (let n = 0; n < 4; n += 1)
          workers.push(await commitOne<'worker'>(gateway.store, workerRequested()));
        for (const [which, type] of commands) {
          const worker = workers[which];
          const events = worker ? eventsOf(type, worker) : [];
          if (worker && events.length > 0)
            workers[which] = await commitOne<'worker'>(gateway.store, onWorker(worker, ...events));
          const at = await instant();
          const counts = await gateway.queries.poolCounts(POOL_ID);
          moments.push({ at, counts, states: workers.map(({ id, state }) => ({ id, state })) });
        }
        for (const { at, counts, states } of moments) {
          const then = await service.poolAt(AUTH_TOKEN_HOLDER, at);
          expect([then.startingWorkers, then.idleWorkers, then.busyWorkers]).toEqual([
            counts.starting,
            counts.idle,
            counts.assigned,
          ]);
          expect(then.totalWorkers).toBe(counts.starting + counts.idle + counts.assigned);
          const seen = new Map(then.workers.map(({ id, state }) => [id, state]));
          for (const { id, state } of states)
            expect(seen.get(id)).toBe(state === 'REMOVED' ? undefined : state);
        }
      }),
      { numRuns: 12 },
    );
  });

  it('is empty before the first event', async () => {
    expect(await service.poolAt(AUTH_TOKEN_HOLDER, new Date('2000-01-01'))).toMatchObject({
      totalWorkers: 0,
      workers: [],
    });
  });
});

describe('sessionAt', () => {
  it('is the session that was open, with its number of kernel restarts and unfinished executions at that time', async () => {
    const { store } = gateway;
    const before = await instant();
    const first = await commitOne<'session'>(store, sessionOpened({ userUuid: 'eve' }));
    const request = executionRequested({ userUuid: 'eve', sessionId: first.id });
    const execution = await commitOne<'execution'>(store, request);
    const running = await instant();
    await commitOne(
      store,
      onExecution(execution, executionFinished({ at: new Date().toISOString() })),
    );
    const restarted = await commitOne<'session'>(store, kernelRestarted(first));
    const after = await instant();
    await commitOne(store, closed(restarted));
    const between = await instant();
    const second = await commitOne<'session'>(store, sessionOpened({ userUuid: 'eve' }));
    const at = async (time: Date) => await service.sessionAt(AUTH_TOKEN_HOLDER, 'eve', time);
    expect(await at(before)).toBeNull();
    expect(await at(running)).toMatchObject({
      session: first,
      unfinished: [{ id: execution.id, status: 'OK' }],
    });
    expect(await at(after)).toMatchObject({ session: restarted, unfinished: [] });
    expect(await at(between)).toBeNull();
    expect(await at(await instant())).toMatchObject({ session: second });
    expect(
      await service.sessionAt({ ...AUTH_TOKEN_HOLDER, tenant: 'other' }, 'eve', after),
    ).toBeNull();
  });
});

const kernelRestarted = (session: Session) =>
  onSession(session, {
    type: 'KernelRestarted',
    data: { at: new Date().toISOString(), reason: 'user', executionId: null },
  });
const closed = (session: Session) =>
  onSession(session, {
    type: 'SessionClosed',
    data: { at: new Date().toISOString(), reason: 'released' },
  });

describe('over GraphQL', () => {
  async function ask(query: string, variables: Record<string, unknown>) {
    return await (await startTransport(service)).query(query, variables);
  }

  it("pages through a worker's events", async () => {
    const { store } = gateway;
    const id = newId<WorkerId>();
    const requested = await commitOne<'worker'>(store, workerRequested(id));
    const lost = { at: new Date().toISOString(), reason: 'exited', exitCode: 70, detail: 'x' };
    const lostEvent = { type: 'WorkerLost', data: lost } as WorkerEvent;
    await commitOne(store, onWorker(requested, lostEvent));
    const query = `query ($id: ID!, $after: String) {
      worker(id: $id) { events(first: 1, after: $after) {
        edges { cursor node { type at version data gatewayId correlationId } }
        pageInfo { hasNextPage endCursor startCursor hasPreviousPage }
      } } }`;
    const first = await ask(query, { id });
    expect(first).toMatchObject({
      data: {
        worker: {
          events: {
            edges: [{ node: { type: 'WorkerRequested', version: 1 } }],
            pageInfo: { hasNextPage: true, endCursor: '1', hasPreviousPage: false },
          },
        },
      },
    });
    expect(await ask(query, { id, after: '1' })).toMatchObject({
      data: {
        worker: {
          events: {
            edges: [{ cursor: '2', node: { type: 'WorkerLost', at: lost.at, data: lost } }],
            pageInfo: { hasNextPage: false },
          },
        },
      },
    });
  });

  it('ends a page of events at the limit in bytes, but never before its first event', async () => {
    const session = await commitOne<'session'>(gateway.store, sessionOpened({ userUuid: 'kim' }));
    await commitOne(gateway.store, closed(session));
    const bytesOf = (event: unknown) => Buffer.byteLength(JSON.stringify(event));
    const [opened] = await db.readStream('session', session.id);
    const limits = [1, bytesOf(opened?.event.data) + 20, 10_000];
    for (const principal of [
      AUTH_TOKEN_HOLDER,
      { ...AUTH_TOKEN_HOLDER, role: 'AUDITOR' as const },
    ]) {
      const pages = limits.map(async (maxResponseBytes) => {
        const small = databaseService(gateway, maxResponseBytes);
        const page = await small.sessionEvents(principal, session.id, {});
        return [page?.edges.length, page?.hasNextPage];
      });
      expect(await Promise.all(pages)).toEqual([
        [1, true],
        [1, true],
        [2, false],
      ]);
    }
  });

  it("gives a session's events, and the pool and a session at a time", async () => {
    const session = await commitOne<'session'>(gateway.store, sessionOpened({ userUuid: 'gil' }));
    const at = new Date(Date.now() + 60_000).toISOString();
    const query = `query ($id: ID!, $at: DateTime!) {
      session(id: $id) { events { edges { node { type data } } } }
      sessionAt(userUuid: "gil", at: $at) { id workerId kernelRestarts unfinishedExecutions { id } }
      poolAt(at: $at) { at totalWorkers workers { id state } } }`;
    const { data, errors } = await ask(query, { id: session.id, at });
    expect(errors).toBeUndefined();
    expect(data).toMatchObject({
      session: {
        events: { edges: [{ node: { type: 'SessionOpened', data: { userUuid: 'gil' } } }] },
      },
      sessionAt: { id: session.id, workerId: session.workerId, unfinishedExecutions: [] },
      poolAt: { at },
    });
  });

  it.each([
    ['worker(id: "nobody") { id }', { worker: null }],
    [`session(id: "${newId()}") { id }`, { session: null }],
    [`context(id: "${newId()}") { id }`, { context: null }],
    ['sessionAt(userUuid: "nobody", at: "2026-01-01T00:00:00Z") { id }', { sessionAt: null }],
  ])('answers null to %s', async (field, data) => {
    expect((await ask(`{ ${field} }`, {})).data).toEqual(data);
  });

  it.each([
    ['worker(id: "$id") { events(first: 0) { edges { cursor } } }', 'first is 0, but must be'],
    ['worker(id: "$id") { events(after: "x") { edges { cursor } } }', 'after must be a cursor'],
    ['session { id }', 'id or userUuid must be given, and not both'],
    ['session(id: "$id", userUuid: "gil") { id }', 'id or userUuid must be given, and not both'],
    ['poolAt(at: "yesterday") { at }', 'A DateTime must be a string such as'],
    ['poolAt(at: "2026-01-01T00:00:00") { at }', 'with an offset'],
  ])('refuses %s', async (field, message) => {
    const { id } = await commitOne<'worker'>(gateway.store, workerRequested());
    const { errors } = await ask(`{ ${field.replace('$id', id)} }`, {});
    expect(errors).toMatchObject([
      { message: expect.stringContaining(message), extensions: { code: 'BAD_USER_INPUT' } },
    ]);
  });
});
