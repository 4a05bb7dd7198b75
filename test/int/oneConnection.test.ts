/** The connection of a command, or of a long read: its transactions, and what happens when the connection is lost. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { onOneConnection, type Sql } from '../../src/events/connection/client.ts';
import { commitOne, executionRequested } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import { createDatabaseProxy } from '../support/databaseProxy.ts';

const LOST = /^PostgreSQL could not be reached, or the connection to it was lost\./;

const db = await useDatabase();
const proxy = await createDatabaseProxy(db.address);
afterAll(() => proxy.close());
await db.sql`CREATE TABLE notes (word text)`;
beforeEach(async () => {
  await db.sql`DELETE FROM notes`;
});

/** Runs a transaction of a command. A TypeError in a timer of the client would make vitest fail. */
const command = (work: (sql: Sql) => Promise<unknown>) =>
  onOneConnection(proxy.address, { name: 'command' }, ({ transaction }) => transaction(work));
const note = (sql: Sql, word: string) => sql`INSERT INTO notes (word) VALUES (${word})`;
const words = async () => (await db.sql`SELECT word FROM notes`).map(({ word }) => word);

it('a transaction is kept if its work succeeds, and leaves nothing if its work fails', async () => {
  await command((sql) => note(sql, 'one'));
  const failing = command(async (sql) => {
    await note(sql, 'two');
    throw new Error('no disk');
  });
  await expect(failing).rejects.toThrow(/^no disk$/);
  await expect(command((sql) => sql`SELECT 1 / 0`)).rejects.toThrow(/^division by zero$/);
  expect(await words()).toEqual(['one']);
});

it('a connection that is lost within a statement ends the transaction with a message, and nothing is kept', async () => {
  const losing = command(async (sql) => {
    await note(sql, 'one');
    await sql`SELECT pg_sleep(3)`;
  });
  const sleeps = () => db.sql`
    SELECT FROM pg_stat_activity WHERE application_name = 'cellhouse command' AND query LIKE '%pg_sleep%'`;
  await Promise.all([
    expect(losing).rejects.toThrow(LOST),
    until('it to sleep', async () => (await sleeps()).length > 0).then(() => proxy.cut()),
  ]);
  expect(await words()).toEqual([]);
});

it('if the connection is lost between two statements, the second does not run on another connection', async () => {
  let isLost = false;
  const losing = command(async (sql) => {
    await note(sql, 'one');
    proxy.cut();
    for (let turns = 0; turns < 50; turns += 1) await turn();
    isLost = true;
    await note(sql, 'two');
  });
  await expect(losing).rejects.toThrow(LOST);
  expect(isLost).toBe(true);
  expect(await words()).toEqual([]);
});

it('a connection that cannot be made fails with the same message', async () => {
  const nowhere = { host: '127.0.0.1', port: 1, database: 'none', username: 'none' };
  const asking = onOneConnection(nowhere, { name: 'none' }, ({ sql }) => sql`SELECT 1`);
  await expect(asking).rejects.toMatchObject({
    message: expect.stringMatching(LOST),
    cause: { code: 'ECONNREFUSED' },
  });
});

it('a gateway that loses the connection of a long read reads again, and goes on', async () => {
  const gateway = await db.open(undefined, proxy.address);
  const { tenant } = await commitOne<'execution'>(gateway.store, executionRequested());
  const reading = await db.sql.begin(async (transaction) => {
    await transaction`LOCK TABLE executions IN ACCESS EXCLUSIVE MODE`;
    const asked = gateway.queries.storedUse();
    await until('it to wait within its transaction', async () => {
      const [waiting] = await transaction`
        SELECT FROM pg_locks WHERE relation = 'executions'::regclass AND NOT granted`;
      return waiting !== undefined;
    });
    proxy.cut();
    // In an object, because `begin` would wait for a promise.
    return { asked };
  });
  expect((await reading.asked).uses).toMatchObject([{ tenant }]);
  expect(await gateway.ping()).toBeUndefined();
  await gateway.close();
});
