/** Variables that are gone are told by the first execution that a fresh kernel begins, whatever came in which order, and by no other. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { KernelRestartReason } from '../../src/domain/session.ts';
import { useDatabase } from '../support/database.ts';
import {
  type ActingGateway,
  actingGateway,
  type ScriptedWorker,
  startScriptedWorker,
} from '../support/scriptedWorker.ts';

const REASONS: KernelRestartReason[] = ['user', 'died'];

const db = await useDatabase();
const observer = await db.open();
let gateways: ActingGateway[];
let scripted: ScriptedWorker;
beforeEach(async () => {
  gateways = [];
  scripted = await startScriptedWorker(observer);
  await takeOver();
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.die();
  await scripted.close();
});

/** Another gateway goes on with the worker; the one before is dead. */
async function takeOver(): Promise<void> {
  await gateways.pop()?.die();
  const successor = actingGateway(await db.open());
  gateways.push(successor);
  await successor.adopt(scripted.worker);
}

async function sent(): Promise<Execution> {
  const execution = await scripted.request(observer);
  await scripted.untilSent(execution.id);
  return execution;
}

/** The worker has come to its end, and that is stored. */
async function ended({ id }: Execution, outcome: 'finished' | 'interrupted' = 'finished') {
  scripted.finish(id, outcome);
  const stored = () => observer.queries.execution(id);
  await expect.poll(async () => (await stored())?.finishedAt).toBeInstanceOf(Date);
  return await stored();
}

async function run(): Promise<boolean | undefined> {
  const execution = await sent();
  scripted.begin(execution.id);
  return (await ended(execution))?.stateLost;
}

/** Resolves when so many replacements are recorded. */
async function recorded(count = 1): Promise<void> {
  const restarts = async () => {
    const session = await observer.queries.session(scripted.session.id);
    return session?.kernelRestarts;
  };
  await expect.poll(restarts).toBe(count);
}

describe.each(REASONS)('after a kernel was replaced (%s)', (reason) => {
  it('while nothing ran, the next says so', async () => {
    expect(await run()).toBe(false);
    scripted.replaceKernel(reason);
    await recorded();
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('while the next was on its way, that one says so', async () => {
    expect(await run()).toBe(false);
    const execution = await sent();
    scripted.replaceKernel(reason);
    scripted.begin(execution.id);
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect(await run()).toBe(false);
  });

  it('while one ran, that one says so, and the next', async () => {
    const execution = await sent();
    scripted.begin(execution.id);
    scripted.replaceKernel(reason);
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('twice while nothing ran, the next says so once', async () => {
    scripted.replaceKernel(reason);
    scripted.replaceKernel(reason);
    await recorded(2);
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('one that is cancelled before it began leaves it to the next', async () => {
    scripted.replaceKernel(reason);
    await recorded();
    const cancelled = { status: 'CANCELLED', stateLost: false };
    expect(await ended(await sent(), 'interrupted')).toMatchObject(cancelled);
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('the next says so under another gateway', async () => {
    scripted.replaceKernel(reason);
    await recorded();
    await takeOver();
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('the next says so though its gateway dies while it runs', async () => {
    scripted.replaceKernel(reason);
    await recorded();
    const execution = await sent();
    scripted.begin(execution.id);
    await expect
      .poll(async () => (await observer.queries.execution(execution.id))?.status)
      .toBe('RUNNING');
    await takeOver();
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect(await run()).toBe(false);
  });

  it('under one whose gateway dies then, the next says so, too', async () => {
    const execution = await sent();
    scripted.begin(execution.id);
    scripted.replaceKernel(reason);
    await recorded();
    await takeOver();
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect([await run(), await run()]).toEqual([true, false]);
  });
});

it('what a kernel lost before it had a user is told to nobody', async () => {
  const acting = actingGateway(await db.open());
  gateways.push(acting);
  const used = await startScriptedWorker(observer, async ({ worker, agent, replaceKernel }) => {
    await acting.adopt(worker);
    await expect.poll(() => agent.isConnected).toBe(true);
    replaceKernel('died');
    // It is acknowledged, so it is stored.
    await agent.receivedAtLeast(1);
  });
  await scripted.close();
  scripted = used;
  expect(await run()).toBe(false);
});
