/** A worker's end is recorded while another gateway opens a session with it. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { SessionId, WorkerId } from '../../src/domain/ids.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import { loss, recordEnd, type WorkerEnd } from '../../src/pool/endWorker.ts';
import { newId } from '../../src/process/newId.ts';
import {
  becomesIdle,
  commitOne,
  onWorker,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();
const [ending, opening] = [await db.open(), await db.open()];
const READS = ['worker', 'openSessionOfWorker', 'openContextsOfWorker'] as const;
const UNLESS_IN_SESSION: WorkerEnd = {
  type: 'RetireWorker',
  reason: 'recycled',
  condition: { isDue: () => false },
};

async function idleWorker(): Promise<Worker> {
  const worker = await commitOne<'worker'>(opening.store, workerRequested());
  return await commitOne<'worker'>(opening.store, onWorker(worker, ...becomesIdle()));
}

/** Another gateway opens a session with the worker. */
async function openWith(worker: Worker): Promise<Session> {
  const sessionId = newId<SessionId>();
  const at = new Date().toISOString();
  const { states } = await opening.store.commit({
    streams: [
      onWorker(worker, { type: 'WorkerAssigned', data: { sessionId, at } }),
      sessionOpened({ userUuid: sessionId, workerId: worker.id, sessionId }),
    ],
  });
  return states[1] as Session;
}

/**
 * Returns the database of a gateway in which `open` is called as soon as this read is answered. All other reads wait
 * until `open` has resolved.
 */
function opensAfter(read: (typeof READS)[number], open: () => Promise<unknown>) {
  let opened: Promise<void> | null = null;
  const { queries } = ending;
  const inTurn = (name: (typeof READS)[number]) => async (id: WorkerId) => {
    if (name !== read || opened !== null) {
      await turn();
      await opened;
      return await queries[name](id);
    }
    const answer = queries[name](id);
    opened = answer.then(async () => void (await open()));
    await opened;
    return await answer;
  };
  const reads = Object.fromEntries(READS.map((name) => [name, inTurn(name)]));
  return { ...ending, queries: { ...queries, ...reads } };
}

it.each(READS)(
  'a session that opens after %s was read keeps an idle worker that was about to end',
  async (read) => {
    const worker = await idleWorker();
    let session: Session | null = null;
    const database = opensAfter(read, async () => {
      session = await openWith(worker);
    });
    expect(
      await recordEnd({ database, now: () => new Date() }, worker.id, UNLESS_IN_SESSION),
    ).toBeNull();
    expect(session).not.toBeNull();
    expect(await db.queries.openSessionOfWorker(worker.id)).toEqual(session);
    expect(await db.queries.worker(worker.id)).toMatchObject({ state: 'ASSIGNED' });
  },
);

it.each(READS)(
  'a session that opens after %s was read ends with a worker that is lost',
  async (read) => {
    const worker = await idleWorker();
    const database = opensAfter(read, () => openWith(worker));
    const why = loss('unreachable', null);
    expect(await recordEnd({ database, now: () => new Date() }, worker.id, why)).not.toBeNull();
    expect(await db.queries.openSessionOfWorker(worker.id)).toBeNull();
    expect(await db.queries.worker(worker.id)).toMatchObject({ state: 'LOST' });
  },
);
