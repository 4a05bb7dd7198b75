/** How the gateway that holds a worker sends code with environment variables and a folder of its own. */
import { expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { until } from '../../testkit/until.ts';
import { recordCalls } from '../support/scriptedAgent.ts';
import { actingGateway, type TwoGateways, useTwoGateways } from '../support/scriptedWorker.ts';

let holder: TwoGateways['holder'];
let other: TwoGateways['other'];
let scripted: TwoGateways['scripted'];
const { db, observer, untilStatus } = await useTwoGateways((fresh) => {
  ({ holder, other, scripted } = fresh);
});

const VALUES = { TOKEN: 's3cret "\\ 漢\n\u0001', EMPTY: '', constructor: 'c' };
const DIRECTORY = '/home/user/work';

/** Cellhouse's metadata of the frames with the execution's code, without the limits. */
function sentOf(id: ExecutionId) {
  return scripted.agent.received.flatMap((frame) => {
    const { header, metadata } = frame as {
      readonly header?: { readonly msg_id: string };
      readonly metadata: { readonly cellhouse: Readonly<Record<string, unknown>> };
    };
    if (header?.msg_id !== id) return [];
    const { timeout_ms: _, grace_ms: __, max_output_bytes: ___, ...more } = metadata.cellhouse;
    return [more];
  });
}

/** While `work` runs, nobody can read or write values. */
async function whileLocked(work: () => Promise<void>): Promise<void> {
  await db.sql.begin(async (sql) => {
    await sql`LOCK TABLE execution_variables`;
    await work();
  });
}

/** Resolves when a read of values waits for the lock. */
const untilReading = () =>
  until('a reader of values', async () => {
    const [row] = await db.sql`
      SELECT 1 FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query LIKE '%FROM execution_variables%' AND datname = current_database()`;
    return row;
  });

it('cells and commands get the values and the folder of their request, and other code gets none', async () => {
  await holder.adopt(scripted.worker);
  const command = { workingDirectory: DIRECTORY, language: 'BASH' } as const;
  const [cell, shell, plain] = [
    await scripted.requestWithValues(observer, VALUES),
    await scripted.requestWithValues(observer, { A: '1' }, command),
    await scripted.request(observer),
  ];
  await scripted.untilSent(cell.id);
  await scripted.untilSent(shell.id);
  scripted.begin(cell.id);
  scripted.finish(cell.id, 'finished');
  await scripted.untilSent(plain.id);
  expect(sentOf(cell.id)).toEqual([{ environment: VALUES }]);
  expect(sentOf(shell.id)).toEqual([
    { environment: { A: '1' }, working_directory: DIRECTORY, language: 'bash' },
  ]);
  expect(sentOf(plain.id)).toEqual([{}]);
  await untilStatus(cell.id, 'OK');
});

it('a successor reads the values of code that its predecessor has not sent', async () => {
  await holder.adopt(scripted.worker);
  const options = { workingDirectory: DIRECTORY };
  const { id } = await scripted.requestWithValues(observer, VALUES, options);
  const { id: queued } = await scripted.requestWithValues(observer, { N: '2' });
  await scripted.untilSent(id);
  await holder.die();
  await other.adopt(scripted.worker);
  scripted.begin(id);
  scripted.finish(id, 'finished');
  await scripted.untilSent(queued);
  scripted.begin(queued);
  scripted.finish(queued, 'finished');
  for (const each of [id, queued]) await untilStatus(each, 'OK');
  const sent = { environment: VALUES, working_directory: DIRECTORY };
  for (const each of sentOf(id)) expect(each).toEqual(sent);
  expect(sentOf(queued)).toEqual([{ environment: { N: '2' } }]);
});

/**
 * Begins a cell, and requests a second one behind it. `readSecond` ends the first, so that the values of the second are
 * read.
 */
async function twoCells(by = holder) {
  await by.adopt(scripted.worker);
  const first = await scripted.requestWithValues(observer, VALUES);
  await scripted.untilSent(first.id);
  scripted.begin(first.id);
  const second = await scripted.requestWithValues(observer, { N: '2' });
  const readSecond = async () => {
    scripted.finish(first.id, 'finished');
    await untilReading();
  };
  return { second, readSecond };
}

it('a successor sends code that its predecessor was about to send', async () => {
  const dead = actingGateway(await db.open());
  const { second, readSecond } = await twoCells(dead);
  let dying: Promise<void> | undefined;
  await whileLocked(async () => {
    await readSecond();
    // As after a kill, the answer to the read is lost.
    dying = dead.die();
    await expect.poll(() => scripted.agent.isConnected).toBe(false);
  });
  await dying;
  expect(sentOf(second.id)).toEqual([]);
  await other.adopt(scripted.worker);
  await scripted.untilSent(second.id);
  expect(sentOf(second.id)).toEqual([{ environment: { N: '2' } }]);
});

it('an interrupt while the values are being read cancels the code, which is never sent', async () => {
  const http = recordCalls(scripted.agent, () => ({ interrupted: false, known: false }));
  const { second, readSecond } = await twoCells();
  const third = await scripted.requestWithValues(observer, { N: '3' });
  let interrupted: Promise<unknown> | undefined;
  await whileLocked(async () => {
    await readSecond();
    interrupted = other.interrupt(second);
    await http.atLeast(1);
  });
  expect(await interrupted).toMatchObject({ status: 'CANCELLED' });
  await scripted.untilSent(third.id);
  expect(sentOf(second.id)).toEqual([]);
});

it('a connection that breaks while the values are being read loses no code', async () => {
  const { second, readSecond } = await twoCells();
  await whileLocked(async () => {
    await readSecond();
    const again = scripted.agent.connected();
    scripted.agent.cut();
    await again;
  });
  await scripted.untilSent(second.id);
  scripted.begin(second.id);
  scripted.finish(second.id, 'finished');
  await untilStatus(second.id, 'OK');
  expect(sentOf(second.id)[0]).toEqual({ environment: { N: '2' } });
});

it('values that cannot be read for a while are read again', async () => {
  await holder.adopt(scripted.worker);
  const first = await scripted.requestWithValues(observer, VALUES);
  await scripted.untilSent(first.id);
  scripted.begin(first.id);
  const second = await scripted.requestWithValues(observer, { N: '2' });
  await db.sql`ALTER TABLE execution_variables RENAME COLUMN value TO away`;
  scripted.finish(first.id, 'finished');
  await untilStatus(first.id, 'OK');
  await db.sql`ALTER TABLE execution_variables RENAME COLUMN away TO value`;
  await scripted.untilSent(second.id);
  expect(sentOf(second.id)).toEqual([{ environment: { N: '2' } }]);
});

it('a session that ends while the values are being read cancels the code, which is never sent', async () => {
  const { second, readSecond } = await twoCells();
  await whileLocked(async () => {
    await readSecond();
    await scripted.closeSession(observer, 'released');
    await expect.poll(() => scripted.agent.isConnected).toBe(false);
  });
  await untilStatus(second.id, 'CANCELLED');
  expect(sentOf(second.id)).toEqual([]);
  expect(await observer.queries.executionVariables(second.id)).toBeNull();
});
