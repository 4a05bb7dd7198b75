import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ExecutionId, WorkerId } from '../../src/domain/ids.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import type { Database } from '../../src/events/database.ts';
import { newId } from '../../src/process/newId.ts';
import {
  becomesIdle,
  commitOne,
  executionRequested,
  onWorker,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';
import { createDatabaseProxy, type DatabaseProxy } from '../support/databaseProxy.ts';

/**
 * If two events in a row arrive this soon after their commits, they did not wait for the poll, which comes once a
 * second.
 */
const HALF_A_POLL_MS = 450;

const db = await useDatabase();
let proxy: DatabaseProxy;
let gateway: Database;
beforeEach(async () => {
  proxy = await createDatabaseProxy(db.address);
  gateway = await db.open(undefined, proxy.address);
  // Prepares the statement, so that a commit is one message each way.
  await gateway.store.commit({ streams: [workerRequested()] });
});
afterEach(async () => {
  await gateway.close();
  await proxy.close();
});

const line = (executionId: ExecutionId, seq: number): OutputItem => ({
  executionId,
  seq,
  at: new Date(),
  output: { kind: 'stream', name: 'stdout', text: `line ${seq}\n` },
});

const ways = [
  ['done, and its answer lost', () => proxy.loseNextAnswer()],
  ['lost on its way', () => proxy.loseNextCommit()],
] as const;

describe.each(ways)('a commit that was %s', (_, lose) => {
  it('a commit whose answer is lost is done once, and resolves as if nothing had happened', async () => {
    const { store, queries } = gateway;
    const told: number[] = [];
    gateway.wakeUps.onEvent(({ position }) => told.push(position));
    const append = executionRequested();
    const executionId = append.id as ExecutionId;
    lose();
    const { events, states } = await store.commit({
      streams: [append, workerRequested()],
      outputs: [line(executionId, 1), line(executionId, 2)],
    });
    expect(proxy.lost).toBe(1);
    expect(await db.readAfter((events[0]?.position ?? 0) - 1)).toEqual(events);
    expect(await queries.execution(executionId)).toEqual(states[0]);
    expect(await queries.outputEnd(executionId)).toEqual({ lastSeq: 2, isFinished: false });
    await expect.poll(() => told).toEqual(events.map(({ position }) => position));
  });

  it('is done once even if it holds only output', async () => {
    const { store, leases } = gateway;
    const worker = await commitOne<'worker'>(store, workerRequested());
    const execution = await commitOne<'execution'>(store, executionRequested());
    const cursor = await leases.acquireWorker(worker.id);
    if (!cursor) throw new Error('not acquired');
    lose();
    await store.commit({
      streams: [],
      outputs: [line(execution.id, 1)],
      cursor: { ...cursor, bootId: 'boot', seq: 5 },
    });
    expect(proxy.lost).toBe(1);
    await store.commit({
      streams: [],
      outputs: [line(execution.id, 2)],
      cursor: { ...cursor, bootId: 'boot', seq: 6 },
    });
    const start = { executionId: execution.id, seq: 0 };
    const { items } = await db.queries.outputs(start, { limit: 10, maxBytes: 10_000 });
    expect(items.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(await leases.acquireWorker(worker.id)).toMatchObject({ epoch: 2, seq: 6 });
  });

  it('is done once or refused if it shared its transaction with others', async () => {
    const { store } = gateway;
    const worker = await commitOne<'worker'>(store, workerRequested());
    await commitOne(store, onWorker(worker, ...becomesIdle()));
    const appends = Array.from({ length: 10 }, () => workerRequested());
    lose();
    const results = await Promise.allSettled([
      ...appends.map((append) => store.commit({ streams: [append] })),
      store.commit({ streams: [onWorker(worker, ...becomesIdle())] }),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      ...appends.map(() => 'fulfilled'),
      'rejected',
    ]);
    for (const { id } of appends) expect(await db.readStream('worker', id)).toHaveLength(1);
    expect(await db.readStream('worker', worker.id)).toHaveLength(3);
  });
});

describe('a database that is away', () => {
  it('is waited for, and then all commits are done in the order in which they were requested', async () => {
    const { store } = gateway;
    await proxy.refuse();
    const worker = workerRequested();
    const commits = Promise.all([
      store.commit({ streams: [worker] }),
      store.commit({ streams: [executionRequested()] }),
    ]);
    await expect(gateway.ping()).rejects.toThrow();
    await proxy.open();
    const [first] = await commits;
    expect(await db.readStream('worker', worker.id)).toEqual(first?.events);
    await expect.poll(() => gateway.ping()).toBeUndefined();
  });

  it('is waited for by reads, too, however it was lost', async () => {
    const worker = await commitOne<'worker'>(gateway.store, workerRequested());
    await proxy.refuse();
    const asked = gateway.queries.worker(worker.id);
    await expect(gateway.ping()).rejects.toThrow();
    await proxy.open();
    expect(await asked).toEqual(worker);
    proxy.cut();
    expect(await gateway.queries.worker(worker.id)).toEqual(worker);
    proxy.delay(20);
    expect(await gateway.queries.worker(worker.id)).toEqual(worker);
  });

  it('is not waited for by a query that the database refuses', async () => {
    await db.sql`ALTER TABLE workers RENAME TO hidden`;
    try {
      await expect(gateway.queries.worker(newId<WorkerId>())).rejects.toMatchObject({
        code: '42P01',
      });
    } finally {
      await db.sql`ALTER TABLE hidden RENAME TO workers`;
    }
  });

  it('is given up when the store closes, and no commit is accepted any more', async () => {
    const { store } = gateway;
    await proxy.refuse();
    const refused = expect(store.commit({ streams: [workerRequested()] })).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      details: { retryAfterMs: expect.any(Number) },
    });
    await gateway.close();
    await refused;
    await expect(store.commit({ streams: [workerRequested()] })).rejects.toThrow(/closed/);
  });

  it('may end every connection, and all of them are made again', async () => {
    const { store, leases } = gateway;
    let told = 0;
    gateway.wakeUps.onEvent(({ position }) => {
      told = position;
    });
    await leases.acquire('before');
    await db.sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'cellhouse %'
        AND pid <> pg_backend_pid() AND application_name NOT LIKE '%test'`;
    const { events } = await store.commit({ streams: [workerRequested()] });
    await expect.poll(() => told).toBe(events[0]?.position);
    await expect.poll(() => leases.acquire('after')).toBe(1);
  });
});

describe('a commit whose connection ends in the middle', () => {
  it('is done once, with all commits of its transaction', async () => {
    const { store } = gateway;
    const before = await store.lastPosition();
    const commits = await db.sql.begin(async (sql) => {
      // This is the lock that a rebuild takes. Commits wait as long as it is held.
      await sql`SELECT pg_advisory_xact_lock(1667788661, 1)`;
      const waiting = Array.from({ length: 5 }, () =>
        store.commit({ streams: [workerRequested()] }),
      );
      await expect
        .poll(
          () => sql`
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'advisory'`,
        )
        .toHaveLength(1);
      return { waiting };
    });
    const positions = (await Promise.all(commits.waiting)).map(({ events }) => events[0]?.position);
    expect(positions).toEqual([1, 2, 3, 4, 5].map((number) => before + number));
    expect(await db.readAfter(before)).toHaveLength(5);
  });
});

describe('a half-open LISTEN connection', () => {
  it('delays events only until the next poll', async () => {
    const writer = await db.open();
    proxy.stallListening();
    const heard: number[] = [];
    gateway.wakeUps.onEvent(({ position }) => heard.push(position));
    const { events } = await writer.store.commit({ streams: [workerRequested()] });
    await expect.poll(() => heard).toEqual([events[0]?.position]);
  });

  it('a half-open LISTEN connection is found, and from then on events are notified again', async () => {
    const writer = await db.open();
    proxy.stallListening();
    let heard = 0;
    gateway.wakeUps.onEvent(({ position }) => {
      heard = position;
    });
    const isNotified = async (): Promise<boolean> => {
      const { events } = await writer.store.commit({ streams: [workerRequested()] });
      const committedAt = performance.now();
      await expect.poll(() => heard, { interval: 5 }).toBe(events[0]?.position);
      return performance.now() - committedAt < HALF_A_POLL_MS;
    };
    // One event may come just before a poll, but not two in a row.
    await expect
      .poll(async () => (await isNotified()) && (await isNotified()), { timeout: 60_000 })
      .toBe(true);
  });
});
