/** The queries that the pool and the schema use. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ExecutionId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import type { OutputBounds, OutputItem } from '../../src/domain/output.ts';
import { NO_OPTIONS, type Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import type { Queries } from '../../src/events/queries/createQueries.ts';
import { newId } from '../../src/process/newId.ts';
import {
  becomesIdle,
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

const db = await useDatabase();
const gateway = await db.open();
let queries: Queries;
beforeAll(async () => {
  queries = gateway.queries;
});

const AT = '2026-01-01T00:00:00.000Z';
const msLater = (ms: number) => new Date(Date.parse(AT) + ms);
const bounds = { limit: 100, maxBytes: 1_000_000 };

function line(executionId: ExecutionId, seq: number, text = `${seq}\n`): OutputItem {
  return { executionId, seq, at: msLater(seq), output: { kind: 'stream', name: 'stdout', text } };
}

function finish(executionId: ExecutionId, seq: number): OutputItem {
  return { executionId, seq, at: msLater(seq), output: { kind: 'finish' } };
}

async function request(userUuid: string, over = {}): Promise<Execution> {
  return await commitOne<'execution'>(gateway.store, executionRequested({ userUuid, ...over }));
}

/** Stores outputs and, with `isLast`, the end. */
async function put(execution: Execution, seqs: readonly number[], isLast = false): Promise<void> {
  const outputs = seqs.map((seq) => line(execution.id, seq));
  const end = (seqs.at(-1) ?? 0) + 1;
  await gateway.store.commit({
    streams: isLast ? [onExecution(execution, executionFinished())] : [],
    outputs: isLast ? [...outputs, finish(execution.id, end)] : outputs,
  });
}

describe('workers', () => {
  it('are counted and chosen by their state, the preferred first, then the longest idle', async () => {
    const requested = [];
    for (let n = 0; n < 5; n += 1) {
      requested.push(
        await commitOne<'worker'>(gateway.store, workerRequested(undefined, msLater(n))),
      );
    }
    const [first, second, third, fourth, fifth] = requested as [
      Worker,
      Worker,
      Worker,
      Worker,
      Worker,
    ];
    const idle: Worker[] = [];
    for (const [n, worker] of [first, second, third].entries()) {
      idle.push(
        await commitOne<'worker'>(gateway.store, onWorker(worker, ...becomesIdle(msLater(10 - n)))),
      );
    }
    const sessionId = newId<SessionId>();
    await commitOne(
      gateway.store,
      onWorker(idle[2] as Worker, { type: 'WorkerAssigned', data: { sessionId, at: AT } }),
    );
    await commitOne(
      gateway.store,
      onWorker(fourth, {
        type: 'WorkerStarted',
        data: { containerId: 'c', socketPath: '/s', at: AT },
      }),
    );
    const counts = { starting: 2, idle: 2, assigned: 1 };
    expect(await queries.poolCounts(POOL_ID)).toEqual({
      ...counts,
      of: [{ ...counts, environmentId: null, name: null, number: null }],
    });
    const ids = async (preferred: readonly WorkerId[], limit = 9) =>
      (await queries.idleWorkers(POOL_ID, { environments: [null], preferred, limit })).map(
        ({ id }) => id,
      );
    expect(await ids([])).toEqual([second.id, first.id]);
    expect(await ids([first.id, third.id])).toEqual([first.id, second.id]);
    expect(await ids([], 1)).toEqual([second.id]);
    const waiting = await queries.workersInStates(POOL_ID, ['REQUESTED', 'STARTING']);
    expect(waiting.map(({ id }) => id)).toEqual([fourth.id, fifth.id]);
    expect(await queries.worker(newId<WorkerId>())).toBeNull();
  });
});

describe('sessions', () => {
  it('are found by tenant and user', async () => {
    const mine = await commitOne<'session'>(gateway.store, sessionOpened({ userUuid: 'u' }));
    const theirs = await commitOne<'session'>(
      gateway.store,
      sessionOpened({ userUuid: 'u', tenant: 'other' }),
    );
    expect(await queries.openSession('default', 'u')).toEqual(mine);
    expect(await queries.openSession('other', 'u')).toEqual(theirs);
    expect(await queries.lastSession('default', 'nobody')).toBeNull();
    expect(await queries.openSessionOfWorker(mine.workerId)).toEqual(mine);
    const closed = await commitOne<'session'>(
      gateway.store,
      onSession(mine, { type: 'SessionClosed', data: { reason: 'worker-lost', at: AT } }),
    );
    expect(await queries.openSession('default', 'u')).toBeNull();
    expect(await queries.lastSession('default', 'u')).toEqual(closed);
    expect(closed.closeReason).toBe('worker-lost');
    expect(await queries.openSessionOfWorker(mine.workerId)).toBeNull();
  });

  it('are idle when nothing runs, and nothing was requested, ended or used since the given time', async () => {
    const open = (userUuid: string, ms: number) =>
      commitOne<'session'>(
        gateway.store,
        sessionOpened({ userUuid, at: msLater(ms).toISOString() }),
      );
    const run = async ({ id: sessionId }: Session, from: number, to: number | null) => {
      const execution = await request('x', { sessionId, at: msLater(from).toISOString() });
      if (to === null) return;
      const end = executionFinished({ at: msLater(to).toISOString() });
      await commitOne(gateway.store, onExecution(execution, end));
    };
    const unused = await open('unused', 0);
    const idle = await open('idle', 1);
    await run(idle, 10, 20);
    const busy = await open('busy', 2);
    await run(busy, 10, null);
    const lately = await open('lately', 3);
    await run(lately, 10, 200);
    const used = await open('used', 4);
    expect(await queries.touchSession(used.id, msLater(150))).toBe(true);
    const usedBefore = await open('usedBefore', 5);
    expect(await queries.touchSession(usedBefore.id, msLater(60))).toBe(true);
    // A use that is recorded late does not hide a later one.
    expect(await queries.touchSession(usedBefore.id, msLater(50))).toBe(true);
    const young = await open('young', 150);
    const ids = (sessions: readonly Session[]) => sessions.map(({ id }) => id);
    const short = await commitOne<'session'>(
      gateway.store,
      sessionOpened({
        userUuid: 'short',
        at: msLater(140).toISOString(),
        options: { ...NO_OPTIONS, idleTimeoutMs: 5 },
      }),
    );
    const long = await commitOne<'session'>(
      gateway.store,
      sessionOpened({
        userUuid: 'long',
        at: msLater(7).toISOString(),
        options: { ...NO_OPTIONS, idleTimeoutMs: 1_000, maxLifeMs: 143 },
      }),
    );
    const since = await queries.idleSessions(msLater(150), 50, 10);
    expect(ids(since)).toEqual([unused.id, idle.id, usedBefore.id, short.id]);
    expect(ids(await queries.idleSessions(msLater(150), 50, 1))).toEqual([unused.id]);
    const expired = await queries.expiredSessions(msLater(150), 148, 10);
    expect(ids(expired)).toEqual([unused.id, idle.id, busy.id, long.id]);
    expect(ids(await queries.expiredSessions(msLater(149), 1_000, 10))).toEqual([]);
    expect(await queries.lastActivity(ids([unused, idle, busy, usedBefore]))).toEqual(
      new Map([
        [unused.id, null],
        [idle.id, msLater(20)],
        [busy.id, msLater(10)],
        [usedBefore.id, msLater(60)],
      ]),
    );
    expect(ids(await queries.openSessions())).toEqual(
      expect.arrayContaining(ids([unused, idle, busy, lately, young])),
    );
  });
});

describe('executions', () => {
  it('that are unfinished come in the order accepted, with their code and last output', async () => {
    const workerId = newId<WorkerId>();
    // Later times come first: the order of acceptance is that of the commits, whatever the clocks say.
    const made = [];
    for (let n = 0; n < 3; n += 1) {
      const at = msLater(100 - n).toISOString();
      made.push(await request('order', { workerId, code: `n = ${n} # \u0000`, at }));
    }
    const [first, second, third] = made as [Execution, Execution, Execution];
    await put(first, [1], true);
    await put(second, [1, 2]);
    expect(await queries.unfinishedExecutions(workerId)).toEqual([
      { execution: second, code: 'n = 1 # \u0000', lastSeq: 2 },
      { execution: third, code: 'n = 2 # \u0000', lastSeq: 0 },
    ]);
    expect(await queries.outputEnd(first.id)).toEqual({ lastSeq: 2, isFinished: true });
    expect(await queries.outputEnd(second.id)).toEqual({ lastSeq: 2, isFinished: false });
    expect(await queries.codes([newId<ExecutionId>()], 1e9)).toEqual(new Map());
    expect(await queries.execution(newId<ExecutionId>())).toBeNull();
  });
});

describe('outputs', () => {
  it('are read back unchanged, after a seq, bounded in number and bytes', async () => {
    const execution = await request('bounds');
    const big = 'x'.repeat(1_000);
    const items = [1, 2, 3, 4].map((seq) => line(execution.id, seq, big));
    await gateway.store.commit({ streams: [], outputs: items });
    // Read from the tables, from the gateway that stored them, and from another gateway, which reads once.
    for (const { outputs } of [db.queries, queries, (await db.open()).queries]) {
      const read = async (seq: number, bound: Partial<OutputBounds> = {}) =>
        (await outputs({ executionId: execution.id, seq }, { ...bounds, ...bound })).items;
      expect(await read(0)).toEqual(items);
      expect(await read(2)).toEqual(items.slice(2));
      expect(await read(1, { limit: 2 })).toEqual(items.slice(1, 3));
      expect(await read(0, { maxBytes: 1_500 })).toEqual(items.slice(0, 2));
      expect(await read(0, { maxBytes: 1 })).toEqual(items.slice(0, 1));
      expect(await read(4)).toEqual([]);
    }
  });

  it('of a user come in the order of acceptance, even if a queued execution ends before its turn', async () => {
    const user = 'follow';
    expect(await queries.userOutputEnd('default', user)).toBeNull();
    const [a, b, c] = [await request(user), await request(user), await request(user)];
    await request('somebody else');
    expect(await queries.userOutputEnd('default', user)).toEqual({ executionId: a.id, seq: 0 });
    const seen = async (from: { executionId: ExecutionId; seq: number } | null, limit = 100) =>
      (await db.queries.userOutputs('default', user, from, { ...bounds, limit })).items.map(
        ({ executionId, seq }) => `${{ [a.id]: 'a', [b.id]: 'b', [c.id]: 'c' }[executionId]}${seq}`,
      );
    await put(a, [1, 2]);
    // `b` ends while it waits behind `a`, so its outputs come only after the end of `a`.
    await put(b, [], true);
    expect(await seen(null)).toEqual(['a1', 'a2']);
    expect(await seen({ executionId: a.id, seq: 1 })).toEqual(['a2']);
    expect(await queries.userOutputEnd('default', user)).toEqual({ executionId: a.id, seq: 2 });
    await put(a, [3], true);
    await put(c, [1]);
    expect(await seen({ executionId: a.id, seq: 2 })).toEqual(['a3', 'a4', 'b1', 'c1']);
    expect(await seen({ executionId: a.id, seq: 2 }, 3)).toEqual(['a3', 'a4', 'b1']);
    expect(await seen({ executionId: b.id, seq: 1 })).toEqual(['c1']);
    expect(await queries.userOutputEnd('default', user)).toEqual({ executionId: c.id, seq: 1 });
    await put(c, [2], true);
    expect(await queries.userOutputEnd('default', user)).toEqual({ executionId: c.id, seq: 3 });
    expect(await seen({ executionId: c.id, seq: 3 })).toEqual([]);
    expect((await queries.userOutputs('other', user, null, bounds)).items).toEqual([]);
  });
});

describe('upkeep', () => {
  it('makes one pool, which keeps its first engine', async () => {
    const made = await Promise.all([queries.poolIdentity('e1'), queries.poolIdentity('e1')]);
    expect(made[0]).toEqual(made[1]);
    expect(await queries.poolIdentity('e2')).toEqual(made[0]);
  });

  it('deletes old idempotency keys and the cursors of removed workers, and nothing else', async () => {
    const claim = (key: string) => ({
      tenant: 'default',
      userUuid: 'keys',
      key,
      requestHash: '',
      executionId: newId<ExecutionId>(),
    });
    await gateway.store.commit({ streams: [], idempotency: claim('old') });
    const between = new Date(Date.now() + 1);
    while (Date.now() <= between.getTime()) await queries.idempotencyKey('default', 'keys', 'old');
    await gateway.store.commit({ streams: [], idempotency: claim('new') });
    expect(await queries.deleteIdempotencyKeys(between)).toBe(1);
    expect(await queries.idempotencyKey('default', 'keys', 'old')).toBeNull();
    expect(await queries.idempotencyKey('default', 'keys', 'new')).not.toBeNull();

    const removed = await commitOne<'worker'>(gateway.store, workerRequested());
    const kept = await commitOne<'worker'>(gateway.store, workerRequested());
    const [neverRecorded, soonRecorded] = [newId<WorkerId>(), newId<WorkerId>()];
    for (const id of [removed.id, kept.id, neverRecorded, soonRecorded]) {
      await gateway.leases.acquireWorker(id);
    }
    await gateway.leases.releaseWorker(neverRecorded);
    await commitOne(gateway.store, onWorker(removed, { type: 'WorkerRemoved', data: { at: AT } }));
    expect(await queries.deleteRemovedWorkersCursors()).toBe(2);
    const names = await db.sql`SELECT name FROM leases ORDER BY name`;
    expect([...names]).toEqual([{ name: `worker-${kept.id}` }, { name: `worker-${soonRecorded}` }]);
    const stale = { workerId: removed.id, epoch: 1, bootId: 'b', seq: 1, progress: null };
    const late = gateway.store.commit({ streams: [], cursor: stale });
    await expect(late).rejects.toMatchObject({ name: 'FencedError' });
  });
});
