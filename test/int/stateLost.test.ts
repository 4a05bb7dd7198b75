/**
 * After a loss of variables, the first execution that begins in the fresh kernel reports the loss, whatever the order
 * of events. Later ones do not.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { KernelRestartReason } from '../../src/domain/session.ts';
import { useDatabase } from '../support/database.ts';
import {
  type ActingGateway,
  actingGateway,
  type ScriptedSession,
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

/** Ends the present gateway, if any, and lets another one take over the worker. */
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

/** Ends the execution in the worker. Resolves with the execution when its end is stored. */
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

/** Resolves when this many replacements of the kernel are recorded. */
async function recorded(count = 1): Promise<void> {
  const restarts = async () => {
    const session = await observer.queries.session(scripted.session.id);
    return session?.kernelRestarts;
  };
  await expect.poll(restarts).toBe(count);
}

describe.each(REASONS)('the loss when a kernel is replaced (%s)', (reason) => {
  it('while nothing runs is reported by the next execution', async () => {
    expect(await run()).toBe(false);
    scripted.replaceKernel(reason);
    await recorded();
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('while an execution is on its way is reported by that execution', async () => {
    expect(await run()).toBe(false);
    const execution = await sent();
    scripted.replaceKernel(reason);
    scripted.begin(execution.id);
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect(await run()).toBe(false);
  });

  it('while an execution runs is reported by it and by the next', async () => {
    const execution = await sent();
    scripted.begin(execution.id);
    scripted.replaceKernel(reason);
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('twice while nothing runs is reported once', async () => {
    scripted.replaceKernel(reason);
    scripted.replaceKernel(reason);
    await recorded(2);
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('is not reported by an execution that is cancelled before it begins, but by the next', async () => {
    scripted.replaceKernel(reason);
    await recorded();
    const cancelled = { status: 'CANCELLED', stateLost: false };
    expect(await ended(await sent(), 'interrupted')).toMatchObject(cancelled);
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('is reported by the next execution under another gateway', async () => {
    scripted.replaceKernel(reason);
    await recorded();
    await takeOver();
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('is reported even if the gateway dies while the next execution runs', async () => {
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

  it('is reported by both executions even if the gateway dies in between', async () => {
    const execution = await sent();
    scripted.begin(execution.id);
    scripted.replaceKernel(reason);
    await recorded();
    await takeOver();
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect([await run(), await run()]).toEqual([true, false]);
  });
});

it('no loss is reported if the kernel was replaced before the worker had a user', async () => {
  const acting = actingGateway(await db.open());
  gateways.push(acting);
  const whileIdle: ScriptedSession['whileIdle'] = async ({ worker, agent, replaceKernel }) => {
    await acting.adopt(worker);
    await expect.poll(() => agent.isConnected).toBe(true);
    replaceKernel('died');
    // The gateway acknowledges the replacement, so it has stored it.
    await agent.receivedAtLeast(1);
  };
  const used = await startScriptedWorker(observer, { whileIdle });
  await scripted.close();
  scripted = used;
  expect(await run()).toBe(false);
});
