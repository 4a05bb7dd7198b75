/** How the gateway that holds a worker sends its commands, and what a successor does. The agent is scripted. */
import { expect, it } from 'vitest';
import type { ExecutionId } from '../../src/domain/ids.ts';
import { recordCalls } from '../support/scriptedAgent.ts';
import { MAX_COMMANDS, type TwoGateways, useTwoGateways } from '../support/scriptedWorker.ts';

let holder: TwoGateways['holder'];
let other: TwoGateways['other'];
let scripted: TwoGateways['scripted'];
const { execution, observer, untilStatus } = await useTwoGateways((fresh) => {
  ({ holder, other, scripted } = fresh);
});

const EXITED = { exit_code: 0, signal: null };

/** Requests this number of commands. Resolves with their ids, in order. */
async function commands(number: number): Promise<ExecutionId[]> {
  const ids: ExecutionId[] = [];
  for (let n = 0; n < number; n += 1) ids.push((await scripted.requestCommand(observer)).id);
  return ids;
}

it('commands are sent beside a cell and beside each other, and wait for a place in the order of acceptance', async () => {
  const held = await holder.adopt(scripted.worker);
  const cell = await scripted.request(observer);
  const ids = await commands(MAX_COMMANDS + 2);
  const [first, second, third, fourth] = ids as [
    ExecutionId,
    ExecutionId,
    ExecutionId,
    ExecutionId,
  ];
  await expect.poll(() => held.unfinishedIn('commands')).toBe(ids.length);
  await scripted.untilSent(second);
  expect(scripted.sent()).toEqual([cell.id, first, second]);
  expect(held.runningCells).toEqual([cell.id]);
  expect([held.hasCell(cell.id), held.hasCell(first)]).toEqual([true, false]);
  const [frameOfCell, frameOfFirst] = scripted.agent.received.filter(
    ({ channel }) => channel === 'shell',
  );
  expect(frameOfCell).not.toHaveProperty('metadata.cellhouse.language');
  expect(frameOfFirst).toHaveProperty('metadata.cellhouse.language', 'bash');
  scripted.begin(second);
  scripted.finish(second, 'finished', EXITED);
  await scripted.untilSent(third);
  scripted.begin(first);
  scripted.finish(first, 'finished', { exit_code: 7, signal: null });
  await scripted.untilSent(fourth);
  expect(scripted.sent()).toEqual([cell.id, first, second, third, fourth]);
  await untilStatus(second, 'OK');
  await untilStatus(first, 'ERROR');
  expect(await execution(first)).toMatchObject({ exitCode: 7, errorName: 'CommandFailed' });
});

it('a command never has `stateLost`, neither when kernels are replaced nor when its worker is lost', async () => {
  const held = await holder.adopt(scripted.worker);
  const [id, lost] = (await commands(2)) as [ExecutionId, ExecutionId];
  await scripted.untilSent(lost);
  scripted.begin(id);
  scripted.begin(lost);
  scripted.replaceKernel('died');
  scripted.finish(id, 'finished', EXITED);
  await untilStatus(id, 'OK');
  const cell = await scripted.request(observer);
  await scripted.untilSent(cell.id);
  await held.end('worker-lost');
  expect(await execution(id)).toMatchObject({ stateLost: false });
  expect(await execution(lost)).toMatchObject({ status: 'WORKER_LOST', stateLost: false });
  expect(await execution(cell.id)).toMatchObject({ status: 'WORKER_LOST', stateLost: true });
});

it('a successor goes on with running commands, and sends waiting ones when there is a place', async () => {
  await holder.adopt(scripted.worker);
  const [first, second, third] = (await commands(3)) as [ExecutionId, ExecutionId, ExecutionId];
  await scripted.untilSent(second);
  scripted.begin(first);
  scripted.begin(second);
  await untilStatus(second, 'RUNNING');
  await holder.die();
  await other.adopt(scripted.worker);
  scripted.finish(first, 'finished', EXITED);
  await scripted.untilSent(third);
  scripted.begin(third);
  for (const id of [second, third]) scripted.finish(id, 'finished', EXITED);
  for (const id of [first, second, third]) await untilStatus(id, 'OK');
  expect(new Set(scripted.sent())).toEqual(new Set([first, second, third]));
});

it('a successor records the end of a command that it would not have sent yet', async () => {
  const ids = (await commands(MAX_COMMANDS + 1)) as ExecutionId[];
  const last = ids.at(-1) as ExecutionId;
  // The former holder sent the last command because an earlier one was cancelled, and died before the cancellation was
  // stored.
  scripted.begin(last);
  scripted.finish(last, 'finished', EXITED);
  await holder.adopt(scripted.worker);
  await untilStatus(last, 'OK');
  expect(scripted.sent()).not.toContain(last);
});

it('an interrupt cancels a command that waits, and its code is never sent', async () => {
  const http = recordCalls(scripted.agent, () => ({ interrupted: true, known: true }));
  await holder.adopt(scripted.worker);
  const [first, , waiting, next] = (await commands(MAX_COMMANDS + 2)) as ExecutionId[];
  if (!first || !waiting || !next) throw new Error('There are too few commands.');
  const row = await execution(waiting);
  if (!row) throw new Error('There is no such execution.');
  expect(await other.interrupt(row)).toMatchObject({ status: 'CANCELLED', exitCode: null });
  scripted.begin(first);
  scripted.finish(first, 'finished', EXITED);
  await scripted.untilSent(next);
  expect(scripted.sent()).not.toContain(waiting);
  expect(http.calls).toEqual([]);
});
