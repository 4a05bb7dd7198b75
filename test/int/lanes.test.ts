/** A worker with two lanes: what the lanes share, and how they are kept apart. The agent is scripted. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import { useDatabase } from '../support/database.ts';
import { stream } from '../support/frames.ts';
import { recordCalls } from '../support/scriptedAgent.ts';
import {
  type ActingGateway,
  actingGateway,
  type ScriptedWorker,
  startScriptedWorker,
} from '../support/scriptedWorker.ts';

const OTHER = 'other';

const db = await useDatabase();
const observer = await db.open();
let holder: ActingGateway;
let scripted: ScriptedWorker;
beforeEach(async () => {
  scripted = await startScriptedWorker(observer);
  holder = actingGateway(await db.open());
  await holder.adopt(scripted.worker);
});
afterEach(async () => {
  await holder.die();
  await scripted.close();
});

const stored = ({ id }: Execution) => observer.queries.execution(id);
const untilStatus = (execution: Execution, status: string) =>
  expect.poll(async () => (await stored(execution))?.status).toBe(status);

/** Records an execution in each lane. Resolves when the agent has got both. */
async function sentToBoth() {
  const [own, other] = [await scripted.request(observer), await scripted.request(observer, OTHER)];
  await scripted.untilSent(own.id);
  await scripted.untilSent(other.id);
  return { own, other };
}

function print({ id: parent }: Execution, text: string): void {
  scripted.agent.append((seq) => stream(text, { parent, seq, at: Date.now() }));
}

async function printed({ id }: Execution): Promise<string> {
  const rows = await db.sql<{ text: string | null }[]>`
    SELECT body ->> 'text' AS text FROM output_events WHERE execution_id = ${id} ORDER BY seq`;
  return rows.map(({ text }) => text ?? '').join('');
}

/** The holder dies, and another gateway takes the worker over. */
async function takeOver(): Promise<void> {
  await holder.die();
  holder = actingGateway(await db.open());
  await holder.adopt(scripted.worker);
  await expect.poll(() => scripted.agent.isConnected).toBe(true);
}

it('each lane runs at its own pace, and each output belongs to its execution', async () => {
  const { own, other } = await sentToBoth();
  const next = await scripted.request(observer, OTHER);
  for (const each of [own, other]) scripted.begin(each.id);
  for (const text of ['1', '2']) for (const each of [own, other]) print(each, `${each.id}${text} `);
  scripted.finish(other.id, 'finished');
  await scripted.untilSent(next.id);
  await untilStatus(other, 'OK');
  expect(await stored(own)).toMatchObject({ status: 'RUNNING' });
  scripted.begin(next.id);
  scripted.finish(next.id, 'finished');
  scripted.finish(own.id, 'finished');
  for (const each of [own, next]) await untilStatus(each, 'OK');
  expect([await printed(own), await printed(other)]).toEqual(
    [own, other].map(({ id }) => `${id}1 ${id}2 `),
  );
  expect(scripted.sent()).toEqual([own.id, other.id, next.id]);
});

it('a successor continues all lanes, and sends the next code of a lane only after the code before it has ended', async () => {
  const { own, other } = await sentToBoth();
  const [nextOwn, nextOther] = [
    await scripted.request(observer),
    await scripted.request(observer, OTHER),
  ];
  scripted.begin(other.id);
  print(other, 'before ');
  await expect.poll(() => printed(other)).toBe('before ');
  await takeOver();
  print(other, 'after');
  scripted.begin(own.id);
  scripted.finish(own.id, 'finished');
  scripted.finish(other.id, 'finished');
  for (const each of [own, other]) await untilStatus(each, 'OK');
  expect(await printed(other)).toBe('before after');
  for (const each of [nextOwn, nextOther]) {
    await scripted.untilSent(each.id);
    scripted.finish(each.id, 'finished');
    await untilStatus(each, 'OK');
  }
  const firstSent = [...new Set(scripted.sent())];
  expect(firstSent).toEqual([own.id, other.id, nextOwn.id, nextOther.id]);
});

it('a new kernel in the default lane loses no state of the other lane, even after a take-over', async () => {
  const { own, other } = await sentToBoth();
  for (const each of [own, other]) scripted.begin(each.id);
  scripted.replaceKernel('user');
  await expect
    .poll(async () => (await observer.queries.session(scripted.session.id))?.kernelRestarts)
    .toBe(1);
  await takeOver();
  for (const each of [own, other]) scripted.finish(each.id, 'finished');
  await untilStatus(own, 'OK');
  await untilStatus(other, 'OK');
  expect([await stored(own), await stored(other)]).toMatchObject([
    { stateLost: true },
    { stateLost: false },
  ]);
});

it('an interrupt in one lane does not delay the other lane', async () => {
  const running = await scripted.request(observer);
  await scripted.untilSent(running.id);
  const [queued, next] = [await scripted.request(observer), await scripted.request(observer)];
  recordCalls(scripted.agent, () => ({ interrupted: true, known: true }));
  expect(await holder.interrupt(queued)).toMatchObject({ status: 'CANCELLED' });
  const other = await scripted.request(observer, OTHER);
  await scripted.untilSent(other.id);
  const interrupted = holder.interrupt(running);
  scripted.finish(other.id, 'finished');
  await untilStatus(other, 'OK');
  scripted.begin(running.id);
  scripted.finish(running.id, 'interrupted');
  expect(await interrupted).toMatchObject({ status: 'INTERRUPTED' });
  await scripted.untilSent(next.id);
  expect(scripted.sent()).toEqual([running.id, other.id, next.id]);
});

it('interrupts in two lanes hold back only the interrupted code, until the agent reports whether it has that code', async () => {
  const [own, other] = [await scripted.request(observer), await scripted.request(observer, OTHER)];
  await scripted.untilSent(own.id);
  await scripted.untilSent(other.id);
  const [nextOwn, nextOther] = [
    await scripted.request(observer),
    await scripted.request(observer, OTHER),
  ];
  await holder.die();
  const http = recordCalls(scripted.agent, ({ body }) => ({
    interrupted: body.msg_id === own.id,
    known: body.msg_id === own.id,
  }));
  const successor = actingGateway(await db.open());
  const interrupts = [own, other].map((each) => successor.interrupt(each));
  await expect
    .poll(async () => {
      const [row] = await db.sql<{ count: number }[]>`
        SELECT count(*)::int AS count FROM events
        WHERE type = 'InterruptRequested' AND stream_id IN ${db.sql([own, other].map(({ id }) => `execution-${id}`))}`;
      return row?.count;
    })
    .toBe(2);
  holder = successor;
  await holder.adopt(scripted.worker);
  await http.atLeast(2);
  expect(await interrupts[1]).toMatchObject({ status: 'CANCELLED' });
  await scripted.untilSent(nextOther.id);
  scripted.finish(own.id, 'interrupted');
  expect(await interrupts[0]).toMatchObject({ status: 'CANCELLED' });
  await scripted.untilSent(nextOwn.id);
  const sent = scripted.sent();
  expect(sent.filter((id) => id === other.id || id === own.id)).toEqual([own.id, other.id]);
});

it('the end of the session ends the executions of all lanes', async () => {
  const { own, other } = await sentToBoth();
  const queued = await scripted.request(observer, OTHER);
  scripted.begin(other.id);
  await untilStatus(other, 'RUNNING');
  const held = await holder.adopt(scripted.worker);
  expect(held.runningCells.toSorted()).toEqual([own.id, other.id].toSorted());
  expect([held.unfinishedIn(OTHER as ContextId), held.unfinishedIn('nobody' as ContextId)]).toEqual(
    [2, 0],
  );
  await held.end('released');
  for (const each of [own, other, queued])
    expect(await stored(each)).toMatchObject({ status: 'CANCELLED' });
});
