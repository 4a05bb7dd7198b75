/**
 * Counts are added to rows in the database. No count is added twice, and a count that could not be sent is sent later.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { SessionId } from '../../src/domain/ids.ts';
import { createEgressLog } from '../../src/egress/egressLog.ts';
import type { Database } from '../../src/events/database.ts';
import { newId } from '../../src/process/newId.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import { createDatabaseProxy, type DatabaseProxy } from '../support/databaseProxy.ts';

const db = await useDatabase();
const MINUTE = new Date('2026-01-01T00:00:00.000Z');
let proxy: DatabaseProxy;
let gateway: Database;
beforeEach(async () => {
  proxy = await createDatabaseProxy(db.address);
  gateway = await db.open(undefined, proxy.address);
});
afterEach(async () => {
  await gateway.close();
  await proxy.close();
});

const SESSION = newId<SessionId>();

it.each([
  [
    'egress',
    db.sql`egress_counts`,
    db.sql`connections`,
    () =>
      gateway.queries.recordEgress([
        {
          ...{ minute: MINUTE, sessionId: SESSION, host: 'a.test', port: 80, outcome: 'allowed' },
          ...{ connections: 1, sentBytes: 1, receivedBytes: 1 },
        },
      ]),
  ],
  [
    'refused calls',
    db.sql`refused_calls`,
    db.sql`count`,
    () =>
      gateway.queries.recordRefusedCalls([
        { minute: MINUTE, token: 'unknown', operation: 'execute', code: 'FORBIDDEN', count: 1 },
      ]),
  ],
])(
  'counts of %s are not added again after the answer of the database was lost',
  async (_, table, column, add) => {
    await add();
    const { adding } = await db.sql.begin(async (transaction) => {
      await transaction`SELECT FROM ${table} FOR UPDATE`;
      const pending = Promise.allSettled([add()]);
      await until('the server to carry it out', async () => {
        const waiting = await transaction`
        SELECT FROM pg_stat_activity WHERE datname = current_database()
          AND application_name LIKE 'cellhouse reads%' AND wait_event_type = 'Lock'`;
        return waiting.length === 1;
      });
      proxy.cut();
      // In an object, because `begin` would wait for a promise.
      return { adding: pending };
    });
    expect(await adding).toMatchObject([{ status: 'rejected' }]);
    await until('the server to have carried it out', async () => {
      const [row] = await db.sql`SELECT ${column}::int AS sum FROM ${table}`;
      return row?.sum === 2;
    });
  },
);

it('counts of egress are stored later if the database could not be reached', async () => {
  const log = createEgressLog({ queries: gateway.queries, now: () => MINUTE });
  const sessionId = newId<SessionId>();
  log.refused({ sessionId, host: 'a.test', port: 80, outcome: 'not-listed' });
  await proxy.refuse();
  await expect(log.record()).rejects.toThrow();
  await proxy.open();
  await log.record();
  const rows = await db.sql`SELECT connections FROM egress_counts WHERE session_id = ${sessionId}`;
  expect([...rows]).toEqual([{ connections: 1 }]);
});
