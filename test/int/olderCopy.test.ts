/** A gateway's database is replaced by an older copy of itself: a restored backup, or a standby that lagged behind. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { within } from '../../src/async/within.ts';
import type { GatewayId, WorkerId } from '../../src/domain/ids.ts';
import { createClient } from '../../src/events/connection/client.ts';
import type { Database } from '../../src/events/database.ts';
import { DatabaseAwayError, FencedError } from '../../src/events/store/eventStore.ts';
import { hasHistoryUpTo, readLastMark } from '../../src/events/store/readEvents.ts';
import { newId } from '../../src/process/newId.ts';
import { workerRequested } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';

const db = await useDatabase();

/** Longer than a gateway takes to connect again, to check the history, and to poll. */
const CALM_MS = 1_500;

/** Another gateway commits this many events. It closes at once, so it does not notice what the test does afterwards. */
async function append(count: number): Promise<void> {
  const other = await db.open();
  await Promise.all(
    Array.from({ length: count }, () => other.store.commit({ streams: [workerRequested()] })),
  );
  await other.close();
}

async function lastPosition(): Promise<number> {
  const [row] = await db.sql<{ last: number }[]>`SELECT max(position) AS last FROM events`;
  return row?.last ?? 0;
}

/** Makes the database what it was `count` events ago. */
async function goBack(count: number): Promise<void> {
  await db.sql`DELETE FROM events WHERE position > (SELECT max(position) - ${count} FROM events)`;
}

/** Opens a database until the end of the test. PostgreSQL has too few connections for the databases of all tests. */
async function opened(gatewayId = newId<GatewayId>()): Promise<Database> {
  const database = await db.open(gatewayId);
  onTestFinished(() => database.close());
  return database;
}

async function reader(): Promise<{ database: Database; reconnect(): Promise<void> }> {
  const gatewayId = newId<GatewayId>();
  const database = await opened(gatewayId);
  let last = 0;
  database.wakeUps.onEvent(({ position }) => {
    last = position;
  });
  await append(5);
  await until('the events have come', async () => last === (await lastPosition()));
  return {
    database,
    reconnect: async () => {
      await db.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE ${`%listener ${gatewayId}`}`;
    },
  };
}

const saidBy = ({ unusable }: Database) => within(CALM_MS, unusable, () => null);

describe('a database that was replaced by an older copy of itself', () => {
  it('is reported, because its next events get positions that the gateway has passed', async () => {
    const { database, reconnect } = await reader();
    const last = await lastPosition();
    await goBack(3);
    await reconnect();
    expect(await saidBy(database)).toContain(`no longer has event ${last}`);
  });

  it('is reported although other events have taken the positions of the lost ones', async () => {
    const { database, reconnect } = await reader();
    await goBack(3);
    await append(6);
    await reconnect();
    expect(await saidBy(database)).toContain('Start the gateway again');
  });

  it('is reported when the gateway’s own commits get positions that it has passed, although no connection was lost', async () => {
    const database = await opened();
    const commit = () => database.store.commit({ streams: [workerRequested()] });
    await Promise.all(Array.from({ length: 5 }, commit));
    await goBack(3);
    await commit();
    expect(await saidBy(database)).toContain('Start the gateway again');
  });

  it('is reported when the gateway’s own commit is the first one after what it has passed', async () => {
    const database = await opened();
    const commit = () => database.store.commit({ streams: [workerRequested()] });
    await Promise.all(Array.from({ length: 5 }, commit));
    // As if another gateway had committed as many events as were lost, between two polls.
    await db.sql`UPDATE events SET event_id = gen_random_uuid()
      WHERE position = (SELECT max(position) FROM events)`;
    await commit();
    expect(await saidBy(database)).toContain('Start the gateway again');
  });

  it('is not written to on a new connection', async () => {
    const gatewayId = newId<GatewayId>();
    const database = await opened(gatewayId);
    const commit = () => database.store.commit({ streams: [workerRequested()] });
    await Promise.all(Array.from({ length: 5 }, commit));
    await goBack(3);
    const last = await lastPosition();
    await db.sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE ${`%commits ${gatewayId}`}`;
    await expect(commit()).rejects.toThrow(DatabaseAwayError);
    expect(await lastPosition()).toBe(last);
    expect(await saidBy(database)).toContain('Start the gateway again');
  });

  it('is not written to once it was found', async () => {
    const { database, reconnect } = await reader();
    const commit = () => database.store.commit({ streams: [workerRequested()] });
    // From now on, its connection for commits is not new any more.
    await commit();
    await goBack(3);
    await reconnect();
    await database.unusable;
    const last = await lastPosition();
    await expect(commit()).rejects.toThrow(DatabaseAwayError);
    expect(await lastPosition()).toBe(last);
  });

  it('takes no more output of a worker whose stored output it lacks', async () => {
    const { store, leases } = await opened();
    const { events } = await store.commit({ streams: [workerRequested()] });
    const workerId = events[0]?.streamId as WorkerId;
    const cursor = await leases.acquireWorker(workerId);
    if (cursor === null) throw new Error('The worker is held.');
    const next = { ...cursor, bootId: 'boot' };
    const upTo = (seq: number, previousSeq: number) =>
      store.commit({ streams: [], cursor: { ...next, seq, previousSeq } });
    await upTo(10, 0);
    // An attempt whose answer was lost is made again.
    await upTo(10, 0);
    await upTo(20, 10);
    await db.sql`UPDATE worker_cursors SET seq = 10 WHERE worker_id = ${workerId}`;
    await expect(upTo(30, 20)).rejects.toThrow(FencedError);
  });

  it('is not suspected when only the connection was lost', async () => {
    const { database, reconnect } = await reader();
    await reconnect();
    expect(await saidBy(database)).toBeNull();
  });

  it('is not suspected when the event that a gateway saw last has been pruned', async () => {
    const client = createClient(db.address, { name: 'test', maxConnections: 1 });
    await append(1);
    const mark = await readLastMark(client);
    await append(1);
    await db.sql`DELETE FROM events WHERE position = ${mark.position}`;
    expect(await hasHistoryUpTo(client, mark)).toBe(true);
    await goBack(1);
    expect(await hasHistoryUpTo(client, mark)).toBe(false);
    await client.close(1_000);
  });
});
