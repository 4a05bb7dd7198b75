import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ExecutionId, WorkerId } from '../../src/domain/ids.ts';
import type { OutputItem } from '../../src/domain/output.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import { ConcurrencyError } from '../../src/events/store/eventStore.ts';
import { newId } from '../../src/process/newId.ts';
import {
  becomesIdle,
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onSession,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();
const gateway = await db.open();

const output = (executionId: ExecutionId, seq: number, text = `line ${seq}\n`): OutputItem => ({
  executionId,
  seq,
  at: new Date(),
  output: { kind: 'stream', name: 'stdout', text },
});

/** The numbers of rows of executions that were changed, read by whole scans, and read by an index. */
async function counts() {
  const [row] = await db.sql<{ updated: number; readInScans: number; readInIndex: number }[]>`
    SELECT n_tup_upd::int AS updated, seq_tup_read::int AS read_in_scans,
      (SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE relname = 'executions') AS read_in_index
    FROM pg_stat_user_tables WHERE relname = 'executions'`;
  if (!row) throw new Error('There is no such table.');
  return row;
}

/** How many executions there are that a commit need not touch. */
const OTHERS = 200;

describe('commit', () => {
  it('resolves with the state that the row holds', async () => {
    const { store, queries } = gateway;
    const worker = await commitOne<'worker'>(store, workerRequested());
    expect(await queries.worker(worker.id)).toEqual(worker);
    const idle = await commitOne<'worker'>(store, onWorker(worker, ...becomesIdle()));
    expect(idle).toMatchObject({ state: 'IDLE', version: 3, readyMs: 700.5 });
    expect(await queries.worker(worker.id)).toEqual(idle);

    const session = await commitOne<'session'>(store, sessionOpened({ userUuid: 'equal' }));
    expect(await queries.session(session.id)).toEqual(session);
    const execution = await commitOne<'execution'>(store, executionRequested());
    expect(await queries.execution(execution.id)).toEqual(execution);
    const at = new Date().toISOString();
    const done = await commitOne<'execution'>(
      store,
      onExecution(
        execution,
        { type: 'ExecutionStarted', data: { at } },
        executionFinished({ status: 'ERROR', errorName: 'E\u0000\ud800', errorValue: '😀' }),
      ),
    );
    expect(done).toMatchObject({ status: 'ERROR', errorName: 'E\ufffd\ufffd', errorValue: '😀' });
    expect(await queries.execution(execution.id)).toEqual(done);
  });

  it('finds its rows by index, even if the statement was planned when the table was small', async () => {
    const { store } = gateway;
    const runs = async (count: number) => {
      for (let turn = 0; turn < count; turn += 1) {
        const execution = await commitOne<'execution'>(store, executionRequested());
        await commitOne<'execution'>(store, onExecution(execution, executionFinished()));
      }
    };
    await runs(OTHERS);
    const before = await counts();
    await runs(20);
    const changed = async () => {
      // A connection reports its counts with a commit at least a second after its last report.
      await commitOne<'execution'>(store, executionRequested());
      const after = await counts();
      return after.updated >= before.updated + 20 && after;
    };
    const after = await until('the counts', changed);
    expect(after.readInScans).toBe(before.readInScans);
    // This report may also contain earlier counts.
    expect(after.readInIndex - before.readInIndex).toBeLessThan(OTHERS * 10);
  });

  it('records events in order and unchanged, with versions and metadata', async () => {
    const { store } = gateway;
    const code = 'x = "\u0000 \ud800 \\u0000 $escaped 漢字"';
    const append = executionRequested({ code });
    const causationId = newId();
    const committed = await store.commit({ streams: [append], causationId } as never);
    const events = await db.readStream('execution', append.id);
    expect(events).toEqual(committed.events);
    expect(events[0]?.event).toEqual(append.events[0]);
    expect(events[0]).toMatchObject({ version: 1, metadata: { causationId } });
    const id = append.id as ExecutionId;
    expect(await gateway.queries.codes([id], 1e9)).toEqual(new Map([[id, code]]));
  });

  it('refuses a stream that has moved on, and a second first event', async () => {
    const { store } = gateway;
    const worker = await commitOne<'worker'>(store, workerRequested());
    await commitOne(store, onWorker(worker, ...becomesIdle()));
    const late = store.commit({ streams: [onWorker(worker, ...becomesIdle())] });
    await expect(late).rejects.toMatchObject({ name: 'ConcurrencyError', on: 'stream' });
    const again = store.commit({ streams: [workerRequested(worker.id)] });
    await expect(again).rejects.toMatchObject({ name: 'ConcurrencyError', on: 'stream' });
    expect(await db.readStream('worker', worker.id)).toHaveLength(3);
  });

  it('stores all of its parts or none', async () => {
    const { store, queries } = gateway;
    const worker = await commitOne<'worker'>(store, workerRequested());
    await commitOne(store, onWorker(worker, ...becomesIdle()));
    const execution = executionRequested();
    const failing = store.commit({
      streams: [execution, onWorker(worker, ...becomesIdle())],
      outputs: [output(execution.id as ExecutionId, 1)],
      idempotency: {
        tenant: 'default',
        userUuid: 'u',
        key: 'nothing',
        requestHash: 'v1:{}',
        executionId: execution.id as ExecutionId,
      },
    });
    await expect(failing).rejects.toThrow(ConcurrencyError);
    expect(await db.readStream('execution', execution.id)).toEqual([]);
    expect(await queries.execution(execution.id as ExecutionId)).toBeNull();
    expect(await queries.outputEnd(execution.id as ExecutionId)).toEqual({
      lastSeq: 0,
      isFinished: false,
    });
    expect(await queries.idempotencyKey('default', 'u', 'nothing')).toBeNull();
  });

  it('lets a user have only one open session', async () => {
    const { store } = gateway;
    const first = await commitOne<'session'>(store, sessionOpened({ userUuid: 'one' }));
    const second = store.commit({ streams: [sessionOpened({ userUuid: 'one' })] });
    await expect(second).rejects.toMatchObject({ on: 'open-session' });
    const at = new Date().toISOString();
    const { states } = await store.commit({
      streams: [
        onSession(first, { type: 'SessionClosed', data: { reason: 'released', at } }),
        sessionOpened({ userUuid: 'one' }),
      ],
    });
    const open = await gateway.queries.openSession('default', 'one');
    expect(open).toEqual(states[1]);
    expect(states[0]).toMatchObject({ closeReason: 'released' });
  });

  it('is refused unless its guarded session is open at the given version', async () => {
    const { store } = gateway;
    const session = await commitOne<'session'>(store, sessionOpened({ userUuid: 'guarded' }));
    const guard = ({ id, version }: Session) => ({ openSessions: [{ id, version }] });
    await store.commit({ streams: [executionRequested()], ...guard(session) });
    const at = new Date().toISOString();
    const restarted = await commitOne<'session'>(
      store,
      onSession(session, {
        type: 'KernelRestarted',
        data: { reason: 'user', executionId: null, at },
      }),
    );
    const stale = store.commit({ streams: [executionRequested()], ...guard(session) });
    await expect(stale).rejects.toMatchObject({ on: 'session' });
    const closed = await commitOne<'session'>(
      store,
      onSession(restarted, { type: 'SessionClosed', data: { reason: 'idle', at } }),
    );
    const late = store.commit({ streams: [executionRequested()], ...guard(closed) });
    await expect(late).rejects.toMatchObject({ on: 'session' });
  });

  it('accepts an idempotency key once', async () => {
    const { store, queries } = gateway;
    const claim = (executionId: string) => ({
      tenant: 'default',
      userUuid: 'k',
      key: 'key-1',
      requestHash: 'v1:{}',
      executionId: executionId as ExecutionId,
    });
    const [first, second] = [executionRequested(), executionRequested()];
    await store.commit({ streams: [first], idempotency: claim(first.id) });
    const again = store.commit({ streams: [second], idempotency: claim(second.id) });
    await expect(again).rejects.toMatchObject({ on: 'idempotency-key' });
    expect(await queries.idempotencyKey('default', 'k', 'key-1')).toEqual({
      executionId: first.id,
      requestHash: 'v1:{}',
    });
  });

  it('fences a writer whose lease was taken, and writes nothing of its commit', async () => {
    const other = await db.open();
    const worker = await commitOne<'worker'>(gateway.store, workerRequested());
    const mine = await gateway.leases.acquireWorker(worker.id);
    if (!mine) throw new Error('not acquired');
    expect(mine).toEqual({ workerId: worker.id, epoch: 1, bootId: '', seq: 0, progress: null });
    const cursor = { ...mine, bootId: 'boot', seq: 7, progress: { text: 'a\u0000\ud800' } };
    await gateway.store.commit({ streams: [], cursor });
    await gateway.leases.releaseWorker(worker.id);
    const theirs = await other.leases.acquireWorker(worker.id);
    expect(theirs).toEqual({ ...cursor, epoch: 2 });
    const execution = executionRequested();
    const late = gateway.store.commit({ streams: [execution], cursor: { ...cursor, seq: 8 } });
    await expect(late).rejects.toMatchObject({ name: 'FencedError', workerId: worker.id });
    expect(await db.readStream('execution', execution.id)).toEqual([]);
  });

  it('refuses a commit with a cursor for a worker that nobody leased', async () => {
    const cursor = { workerId: newId<WorkerId>(), epoch: 1, bootId: 'b', seq: 1, progress: null };
    const commit = gateway.store.commit({ streams: [], cursor });
    await expect(commit).rejects.toMatchObject({ name: 'FencedError' });
  });

  it('may share its transaction with others, but not their failures', async () => {
    const { store } = gateway;
    const worker = await commitOne<'worker'>(store, workerRequested());
    const results = await Promise.allSettled([
      store.commit({ streams: [workerRequested()] }),
      store.commit({ streams: [onWorker(worker, ...becomesIdle())] }),
      store.commit({ streams: [onWorker(worker, ...becomesIdle())] }),
      store.commit({ streams: [workerRequested(worker.id)] }),
      store.commit({ streams: [sessionOpened({ userUuid: 'twice' })] }),
      store.commit({ streams: [sessionOpened({ userUuid: 'twice' })] }),
      store.commit({ streams: [workerRequested()] }),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    const stored = await db.readStream('worker', worker.id);
    expect(stored.map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  it('shares a transaction with all that wait at the same time', async () => {
    const transactions = async () => {
      const [row] = await db.sql<{ count: number }[]>`
        SELECT count(DISTINCT recorded_at) AS count FROM events`;
      return row?.count ?? 0;
    };
    const before = await transactions();
    await Promise.all(
      Array.from({ length: 50 }, () => gateway.store.commit({ streams: [workerRequested()] })),
    );
    expect((await transactions()) - before).toBe(1);
  });

  it('keeps the types of its states in a shared transaction', async () => {
    const { states } = await gateway.store.commit({
      streams: [workerRequested(), sessionOpened({ userUuid: 'types' }), executionRequested()],
    });
    const [worker, session, execution] = states as [Worker, Session, Execution];
    expect([worker.state, session.userUuid, execution.status]).toEqual([
      'REQUESTED',
      'types',
      'QUEUED',
    ]);
  });
});
