/**
 * Contexts in the event store: no two open contexts of a session have the same name or slot, and all end with the
 * session. There are only MAX_CONTEXTS slots (src/domain/context.ts). The engine is not needed.
 */
import { describe, expect, it } from 'vitest';
import type { Context } from '../../src/domain/context.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import { type EndWorkerDeps, endLeftContexts, recordEnd } from '../../src/pool/endWorker.ts';
import {
  becomesIdle,
  commitOne,
  contextCreated,
  onContext,
  onWorker,
  POOL_ID,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();
const [gateway, other] = [await db.open(), await db.open()];
const { store, queries } = gateway;
const now = () => new Date();
const deps = { database: gateway, now, poolId: POOL_ID } as EndWorkerDeps;

let users = 0;
async function openSession(): Promise<{ worker: Worker; session: Session }> {
  const requested = await commitOne<'worker'>(store, workerRequested());
  const idle = await commitOne<'worker'>(store, onWorker(requested, ...becomesIdle()));
  users += 1;
  const open = sessionOpened({ workerId: idle.id, userUuid: `user-${users}` });
  const session = await commitOne<'session'>(store, open);
  const assigned = { at: now().toISOString(), sessionId: session.id };
  const worker = await commitOne<'worker'>(
    store,
    onWorker(idle, { type: 'WorkerAssigned', data: assigned }),
  );
  return { worker, session };
}

const create = (
  session: Session,
  over: Parameters<typeof contextCreated>[1] = {},
  at = store,
): Promise<Context> =>
  commitOne<'context'>(at, contextCreated(session, over), {
    openSessions: [{ id: session.id, version: session.version }],
  });
const end = (context: Context) =>
  commitOne<'context'>(
    store,
    onContext(context, {
      type: 'ContextEnded',
      data: { at: now().toISOString(), reason: 'deleted' },
    }),
  );

describe('a session', () => {
  it('has no two open contexts in one slot or with one name, whichever gateways create them', async () => {
    const { session } = await openSession();
    const racing = await Promise.allSettled([
      create(session, { slot: 0 }),
      create(session, { slot: 0 }, other.store),
    ]);
    expect(racing.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    for (const each of racing)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ on: 'context' });
    const named = await create(session, { slot: 1, name: 'a' });
    await expect(create(session, { slot: 2, name: 'a' })).rejects.toMatchObject({ on: 'context' });
    expect(await queries.openContexts([session.id])).toHaveLength(2);
    // The slot and the name are free again.
    await end(named);
    const again = await create(session, { slot: 1, name: 'a' });
    expect((await queries.openContexts([session.id])).at(-1)).toEqual(again);
  });

  it('may have contexts of the same name and slot as another session', async () => {
    for (const { session } of [await openSession(), await openSession()])
      await create(session, { slot: 0, name: 'a' });
  });

  it('keeps its version when its contexts change', async () => {
    const { session } = await openSession();
    await end(await create(session));
    expect(await queries.session(session.id)).toEqual(session);
  });

  it('ends all its contexts in the commit that closes it, and gets none afterwards', async () => {
    const { worker, session } = await openSession();
    const contexts = [await create(session, { slot: 0 }), await create(session, { slot: 1 })];
    await end(await create(session, { slot: 2 }));
    await recordEnd(deps, worker.id, { type: 'RetireWorker', reason: 'released' });
    expect(await queries.openContexts([session.id])).toEqual([]);
    const closed = await queries.session(session.id);
    for (const { id } of contexts) {
      const events = await db.readStream('context', id);
      expect(events.at(-1)?.event).toMatchObject({
        type: 'ContextEnded',
        data: { reason: 'released', at: closed?.closedAt?.toISOString() },
      });
    }
    await expect(create(session)).rejects.toMatchObject({ on: 'session' });
  });

  it('ends a context that was created while the end of the session was being recorded', async () => {
    const { worker, session } = await openSession();
    // `recordEnd()` reads the contexts before this one is created, and commits afterwards.
    const late: EndWorkerDeps = {
      ...deps,
      database: {
        ...gateway,
        store: {
          ...store,
          commit: async (commit) => {
            await create(session);
            return await store.commit(commit);
          },
        },
      },
    };
    await recordEnd(late, worker.id, {
      type: 'RecordLoss',
      reason: 'oom',
      exitCode: null,
      detail: null,
    });
    const [left] = await queries.openContexts([session.id]);
    expect(left).toBeDefined();
    const lost = await queries.worker(worker.id);
    if (!lost || !left) throw new Error('There is no worker or context.');
    await endLeftContexts(deps, lost);
    expect(await queries.openContexts([session.id])).toEqual([]);
    expect((await db.readStream('context', left.id)).at(-1)?.event).toMatchObject({
      type: 'ContextEnded',
      data: { reason: 'worker-lost' },
    });
  });
});
