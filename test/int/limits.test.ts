/** Limits hold over all gateways: simultaneous commits never exceed them. */
import { describe, expect, it } from 'vitest';
import { type Execution, queueOf } from '../../src/domain/execution.ts';
import type { ContextId, WorkerId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Commit } from '../../src/events/store/eventStore.ts';
import { newId } from '../../src/process/newId.ts';
import {
  commitOne,
  executionFinished,
  executionRequested,
  onExecution,
  onWorker,
  POOL_ID,
  sessionOpened,
  workerLost,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();
const gateway = await db.open();
const gateways = [gateway, await db.open(), await db.open()] as const;

/** Spreads the commits over the gateways, all at once. Resolves with how many succeeded; all others met the limit. */
async function commitAll(commits: readonly Commit[], limit: string): Promise<number> {
  const outcomes = await Promise.allSettled(
    commits.map((commit, index) => {
      const { store } = gateways[index % gateways.length] ?? gateway;
      return store.commit(commit);
    }),
  );
  const refusals = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  for (const reason of refusals) expect(reason).toMatchObject({ name: 'LimitError', limit });
  return outcomes.length - refusals.length;
}

const requestIn = ({ id, version, workerId }: Session, maxUnfinished: number): Commit => ({
  streams: [executionRequested({ sessionId: id, workerId })],
  openSessions: [{ id, version }],
  maxUnfinished,
});

async function openSession(userUuid: string): Promise<Session> {
  return await commitOne<'session'>(gateway.store, sessionOpened({ userUuid }));
}

describe('maxUnfinished', () => {
  it.each([1, 5])('accepts exactly %i of 30 simultaneous requests', async (max) => {
    const session = await openSession(`burst-${max}`);
    const commits = Array.from({ length: 30 }, () => requestIn(session, max));
    expect(await commitAll(commits, 'maxUnfinished')).toBe(max);
    const [row] = await db.sql`
      SELECT count(*)::int AS count FROM executions WHERE session_id = ${session.id}`;
    expect(row).toEqual({ count: max });
  });

  it('counts each session separately, and no finished executions', async () => {
    const [full, other] = [await openSession('full'), await openSession('other')];
    const { store } = gateway;
    const { states } = await store.commit(requestIn(full, 1));
    const [refused, taken] = await Promise.allSettled([
      store.commit(requestIn(full, 1)),
      store.commit(requestIn(other, 1)),
    ]);
    expect(refused).toMatchObject({ reason: { limit: 'maxUnfinished', count: 2 } });
    expect(taken.status).toBe('fulfilled');
    await commitOne(store, onExecution(states[0] as Execution, executionFinished()));
    expect((await store.commit(requestIn(full, 1))).events).toHaveLength(1);
  });
});

it('the database counts the same queues as the gateway', async () => {
  const session = await openSession('queues');
  const [contextId, otherId] = [newId<ContextId>(), newId<ContextId>()];
  const places = [{}, { contextId }, { contextId: otherId }, { language: 'BASH' }] as const;
  const request = (place: object) =>
    executionRequested({ sessionId: session.id, workerId: session.workerId, ...place });
  const { store } = gateway;
  const before: Execution[] = [];
  for (const place of places) before.push(await commitOne<'execution'>(store, request(place)));
  // Requests a second execution in each queue. If the database counted two queues as one, the count would be too high.
  for (const place of places) {
    const commit = { streams: [request(place)], maxUnfinished: 2 };
    const { states } = await store.commit(commit);
    const added = states[0] as Execution;
    const queue = [...before, added].filter((each) => queueOf(each) === queueOf(added));
    expect(queue).toHaveLength(2);
    const knownQueues = [{ of: added, count: queue.length }];
    const last = onExecution(added, executionFinished());
    await expect(
      store.commit({ streams: [last], knownQueues: [{ of: added, count: queue.length - 1 }] }),
    ).rejects.toMatchObject({ name: 'LimitError', count: queue.length });
    expect((await store.commit({ streams: [last], knownQueues })).events).toHaveLength(1);
  }
});

describe('isFirstExecution', () => {
  const first = (session: Session): Commit => ({
    ...requestIn(session, 5),
    isFirstExecution: true,
  });
  const another = { name: 'ConcurrencyError', on: 'session' };

  it('accepts exactly one of 30 simultaneous requests', async () => {
    const [session, other] = [await openSession('first'), await openSession('other-first')];
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 30 }, (_, index) =>
        (gateways[index % gateways.length] ?? gateway).store.commit(first(session)),
      ),
      gateway.store.commit(first(other)),
    ]);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(29);
    for (const each of refused) expect(each).toMatchObject({ reason: another });
    expect(outcomes.at(-1)?.status).toBe('fulfilled');
  });

  it('accepts no request after an execution that has finished, nor beside another request of the same group', async () => {
    const [used, fresh] = [await openSession('used'), await openSession('fresh')];
    const { store } = gateway;
    const { states } = await store.commit(first(used));
    await commitOne(store, onExecution(states[0] as Execution, executionFinished()));
    await expect(store.commit(first(used))).rejects.toMatchObject(another);
    expect((await store.commit(requestIn(used, 5))).events).toHaveLength(1);
    const [plain, second] = await Promise.allSettled([
      store.commit(requestIn(fresh, 5)),
      store.commit(first(fresh)),
    ]);
    expect(plain.status).toBe('fulfilled');
    expect(second).toMatchObject({ reason: another });
  });
});

describe('maxWorkers', () => {
  it('accepts exactly that many of 30 simultaneous requests, and more when workers have ended', async () => {
    const request = (): Commit => ({ streams: [workerRequested()], maxWorkers: 7 });
    expect(await commitAll(Array.from({ length: 30 }, request), 'maxWorkers')).toBe(7);
    const { queries, store } = gateway;
    const [worker] = await queries.workersInStates(POOL_ID, ['REQUESTED']);
    if (!worker) throw new Error('There is no worker.');
    await commitOne(store, onWorker(worker, workerLost()));
    expect(await commitAll(Array.from({ length: 9 }, request), 'maxWorkers')).toBe(1);
  });

  it('is not checked by a commit that makes no worker', async () => {
    const { store } = gateway;
    const session = await store.commit({
      streams: [sessionOpened({ userUuid: 'free', workerId: newId<WorkerId>() })],
      maxWorkers: 0,
    });
    expect(session.events).toHaveLength(1);
  });
});
