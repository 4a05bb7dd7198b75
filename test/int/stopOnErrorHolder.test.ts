/**
 * An execution that was sent with `stopOnError` fails. The gateway that holds its worker ends what is queued behind it,
 * and a successor does the same. The agent is scripted.
 */
import { describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ContextId, ExecutionId } from '../../src/domain/ids.ts';
import { recordCalls } from '../support/scriptedAgent.ts';
import {
  actingGateway,
  MAX_COMMANDS,
  type TwoGateways,
  useTwoGateways,
} from '../support/scriptedWorker.ts';

let holder: TwoGateways['holder'];
let other: TwoGateways['other'];
let scripted: TwoGateways['scripted'];
const { db, observer } = await useTwoGateways((fresh) => {
  ({ holder, other, scripted } = fresh);
});

const STOPS = { stopOnError: true } as const;
const COMMAND = { language: 'BASH' } as const;
const EXITED = { exit_code: 0, signal: null };
const FAILED = { exit_code: 1, signal: null };

const request = (options = {}) => scripted.requestWith(observer, options);
const statusOf = async (id: ExecutionId) => (await db.queries.execution(id))?.status;
const untilStatus = (id: ExecutionId, status: string) =>
  expect.poll(() => statusOf(id)).toBe(status);
const finishedOf = async (id: ExecutionId) => (await db.readStream('execution', id)).at(-1);

/** Expects that `stopped` were cancelled in the commit that ended `by`, and were never sent. */
async function expectStopped(by: Execution, stopped: readonly Execution[]): Promise<void> {
  const end = await finishedOf(by.id);
  for (const { id } of stopped) {
    await untilStatus(id, 'CANCELLED');
    expect(await finishedOf(id)).toMatchObject({
      event: { data: { stoppedBy: by.id, runMs: null, stateLost: false } },
      recordedAt: end?.recordedAt,
    });
    expect(scripted.sent()).not.toContain(id);
    // The row keeps `stoppedBy` after the events have been pruned.
    expect(await db.queries.execution(id)).toMatchObject({ stoppedBy: by.id });
    const [audited] = await db.sql`
      SELECT stopped_by FROM audit.executions WHERE execution_id = ${id}`;
    expect(audited).toEqual({ stoppedBy: by.id });
  }
  expect(await db.queries.execution(by.id)).toMatchObject({ stoppedBy: null });
}

describe('an execution with stopOnError that fails cancels executions behind it', () => {
  it.each([
    ['timeout', 'TIMEOUT'],
    ['interrupted', 'INTERRUPTED'],
    ['kernel_died', 'ERROR'],
    ['out_of_memory', 'ERROR'],
  ] as const)('after the outcome %s', async (outcome, status) => {
    await holder.adopt(scripted.worker);
    const first = await request(STOPS);
    const behind = [await request(), await request(STOPS)];
    await scripted.untilSent(first.id);
    scripted.begin(first.id);
    if (outcome === 'kernel_died') scripted.replaceKernel('died');
    scripted.finish(first.id, outcome);
    await untilStatus(first.id, status);
    await expectStopped(first, behind);
    const next = await request();
    await scripted.untilSent(next.id);
    scripted.begin(next.id);
    scripted.finish(next.id, 'finished');
    await untilStatus(next.id, 'OK');
    expect((await db.queries.execution(next.id))?.stateLost).toBe(outcome === 'kernel_died');
  });

  it('in its own context only, and no command', async () => {
    const http = recordCalls(scripted.agent, () => ({ kernel_generation: 1 }));
    await holder.adopt(scripted.worker);
    const contexts: ContextId[] = [];
    for (const slot of [0, 1]) {
      const { id } = await scripted.createContext(observer, { slot });
      await http.atLeast(slot + 1);
      scripted.tellContext(id, 'ready');
      contexts.push(id);
    }
    const lanes = [{}, { contextId: contexts[0] }, { contextId: contexts[1] }, COMMAND];
    const first: Execution[] = [];
    for (const lane of lanes) first.push(await request({ ...lane, ...STOPS }));
    const second: Execution[] = [];
    for (const lane of lanes) second.push(await request(lane));
    const [, failing] = first as [Execution, Execution];
    for (const { id } of first) await scripted.untilSent(id);
    scripted.begin(failing.id);
    scripted.finish(failing.id, 'timeout');
    await untilStatus(failing.id, 'TIMEOUT');
    const [inDefault, behind, inOther, command] = second as [
      Execution,
      Execution,
      Execution,
      Execution,
    ];
    await expectStopped(failing, [behind]);
    for (const { id } of [inDefault, inOther]) expect(await statusOf(id)).toBe('QUEUED');
    await scripted.untilSent(command.id);
  });

  it('if it is a command, the commands that have not begun', async () => {
    await holder.adopt(scripted.worker);
    const cell = await request();
    const commands: Execution[] = [];
    for (let n = 0; n < MAX_COMMANDS + 2; n += 1)
      commands.push(await request({ ...COMMAND, ...STOPS }));
    const [first, beside, ...waiting] = commands as [Execution, Execution, ...Execution[]];
    await scripted.untilSent(beside.id);
    scripted.begin(first.id);
    scripted.begin(beside.id);
    scripted.finish(first.id, 'finished', FAILED);
    await untilStatus(first.id, 'ERROR');
    await expectStopped(first, waiting);
    const next = await request(COMMAND);
    await scripted.untilSent(next.id);
    for (const { id } of [beside, next]) scripted.finish(id, 'finished', EXITED);
    await untilStatus(beside.id, 'OK');
    await untilStatus(next.id, 'OK');
    expect(await statusOf(cell.id)).not.toBe('CANCELLED');
  });

  it('if it is cancelled itself, and no execution before it', async () => {
    await holder.adopt(scripted.worker);
    const running = await request();
    const before = await request();
    const cancelled = await request(STOPS);
    const behind = await request();
    await scripted.untilSent(running.id);
    scripted.begin(running.id);
    expect(await other.interrupt(cancelled)).toMatchObject({ status: 'CANCELLED' });
    await expectStopped(cancelled, [behind]);
    scripted.finish(running.id, 'finished');
    await scripted.untilSent(before.id);
  });
});

it('an execution that ends OK cancels nothing, nor does one without stopOnError that fails', async () => {
  await holder.adopt(scripted.worker);
  const [fine, failing, last] = [await request(STOPS), await request(), await request()];
  await scripted.untilSent(fine.id);
  scripted.begin(fine.id);
  scripted.finish(fine.id, 'finished');
  await scripted.untilSent(failing.id);
  scripted.begin(failing.id);
  scripted.finish(failing.id, 'timeout');
  await scripted.untilSent(last.id);
});

it('a successor cancels executions that were accepted under its predecessor and while nobody held the worker', async () => {
  await holder.adopt(scripted.worker);
  const first = await request(STOPS);
  const behind = [await request()];
  await scripted.untilSent(first.id);
  scripted.begin(first.id);
  await untilStatus(first.id, 'RUNNING');
  await holder.die();
  behind.push(await request());
  scripted.finish(first.id, 'timeout');
  behind.push(await request());
  await other.adopt(scripted.worker);
  await untilStatus(first.id, 'TIMEOUT');
  await expectStopped(first, behind);
  const next = await request();
  await scripted.untilSent(next.id);
});

it('a successor interrupts commands that the former holder may have sent', async () => {
  const runs = new Set<string>();
  const http = recordCalls(scripted.agent, ({ body }) => ({
    interrupted: true,
    known: runs.has(body.msg_id ?? ''),
  }));
  const first = await request({ ...COMMAND, ...STOPS });
  const commands: Execution[] = [];
  for (let n = 0; n < MAX_COMMANDS + 1; n += 1) commands.push(await request(COMMAND));
  const [beside, maySend, unsent] = commands as [Execution, Execution, Execution];
  // The former holder let more commands run at a time, and has sent this one.
  runs.add(maySend.id);
  scripted.begin(first.id);
  scripted.finish(first.id, 'finished', FAILED);
  await holder.adopt(scripted.worker);
  await untilStatus(unsent.id, 'CANCELLED');
  const asked = http.calls.flatMap(({ path, body }) => (path === '/interrupt' ? body.msg_id : []));
  expect(new Set(asked)).toEqual(new Set([maySend.id, unsent.id]));
  scripted.begin(maySend.id);
  scripted.finish(maySend.id, 'interrupted', { exit_code: null, signal: 'SIGINT' });
  await untilStatus(maySend.id, 'INTERRUPTED');
  scripted.begin(beside.id);
  scripted.finish(beside.id, 'finished', EXITED);
  await untilStatus(beside.id, 'OK');
  expect(scripted.sent()).not.toContain(unsent.id);
  const requested = (await db.readStream('execution', unsent.id)).find(
    ({ event }) => event.type === 'InterruptRequested',
  );
  expect(requested?.recordedAt).toEqual((await finishedOf(first.id))?.recordedAt);
});

it('an end that is stored again, after its answer was lost, stops nothing that was accepted later', async () => {
  const database = await db.open();
  const { store } = database;
  const refuse = new Set<string>();
  const losing = actingGateway({
    ...database,
    store: {
      ...store,
      commit: async (commit) => {
        const committed = await store.commit(commit);
        if (!commit.knownQueues || refuse.size > 0) return committed;
        refuse.add('once');
        // Another execution is accepted before the end is committed again.
        later.push(await request());
        throw new Error('The answer is lost.');
      },
    },
  });
  const later: Execution[] = [];
  await losing.adopt(scripted.worker);
  const first = await request(STOPS);
  const behind = await request();
  await scripted.untilSent(first.id);
  scripted.begin(first.id);
  scripted.finish(first.id, 'timeout');
  await untilStatus(behind.id, 'CANCELLED');
  await expect.poll(() => later.length).toBe(1);
  await scripted.untilSent(later[0]?.id as ExecutionId);
  await expectStopped(first, [behind]);
  await losing.die();
});
