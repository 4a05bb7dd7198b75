/**
 * After a loss of variables, the first execution that begins in the fresh kernel reports the loss, whatever the order
 * of events. Later ones do not.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Execution } from '../../src/domain/execution.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import type { KernelRestartReason } from '../../src/domain/session.ts';
import { useDatabase } from '../support/database.ts';
import { recordCalls } from '../support/scriptedAgent.ts';
import {
  type ActingGateway,
  actingGateway,
  type ScriptedSession,
  type ScriptedWorker,
  startScriptedWorker,
} from '../support/scriptedWorker.ts';

const REASONS: KernelRestartReason[] = ['user', 'died'];
const CASES = REASONS.flatMap((reason) => [
  [reason, 'default context'] as const,
  [reason, 'context of three'] as const,
]);

const db = await useDatabase();
const observer = await db.open();
let gateways: ActingGateway[];
let scripted: ScriptedWorker;
/** The context whose kernel is replaced. Null: the default one. */
let contextId: ContextId | null;
beforeEach(async () => {
  gateways = [];
  contextId = null;
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

/** Gives the session three contexts, one of which is used. */
async function useContextOfThree(): Promise<void> {
  const http = recordCalls(scripted.agent, () => ({ kernel_generation: 1 }));
  for (const slot of [0, 1, 2]) {
    const { id } = await scripted.createContext(observer, { slot });
    await http.atLeast(slot + 1);
    scripted.tellContext(id, 'ready');
    if (slot === 1) contextId = id;
  }
  const open = () => observer.queries.openContexts([scripted.session.id]);
  await expect.poll(async () => (await open()).map(({ status }) => status)).toEqual(READY);
}
const READY = ['READY', 'READY', 'READY'];

const replaceKernel = (reason: KernelRestartReason) =>
  scripted.replaceKernel(reason, contextId ?? undefined);

async function sent(): Promise<Execution> {
  const execution = await (contextId === null
    ? scripted.request(observer)
    : scripted.requestIn(observer, contextId));
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
    if (contextId === null) return session?.kernelRestarts;
    return (await observer.queries.contexts([contextId]))[0]?.kernelRestarts;
  };
  await expect.poll(restarts).toBe(count);
}

describe.each(CASES)('the loss when a kernel is replaced (%s, %s)', (reason, where) => {
  beforeEach(async () => {
    if (where === 'context of three') await useContextOfThree();
  });

  it('while nothing runs is reported by the next execution', async () => {
    expect(await run()).toBe(false);
    replaceKernel(reason);
    await recorded();
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('while an execution is on its way is reported by that execution', async () => {
    expect(await run()).toBe(false);
    const execution = await sent();
    replaceKernel(reason);
    scripted.begin(execution.id);
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect(await run()).toBe(false);
  });

  it('while an execution runs is reported by it and by the next', async () => {
    const execution = await sent();
    scripted.begin(execution.id);
    replaceKernel(reason);
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('twice while nothing runs is reported once', async () => {
    replaceKernel(reason);
    replaceKernel(reason);
    await recorded(2);
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('is not reported by an execution that is cancelled before it begins, but by the next', async () => {
    replaceKernel(reason);
    await recorded();
    const cancelled = { status: 'CANCELLED', stateLost: false };
    expect(await ended(await sent(), 'interrupted')).toMatchObject(cancelled);
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('is reported by the next execution under another gateway', async () => {
    replaceKernel(reason);
    await recorded();
    await takeOver();
    expect([await run(), await run()]).toEqual([true, false]);
  });

  it('is reported even if the gateway dies while the next execution runs', async () => {
    replaceKernel(reason);
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
    replaceKernel(reason);
    await recorded();
    await takeOver();
    expect(await ended(execution)).toMatchObject({ stateLost: true });
    expect([await run(), await run()]).toEqual([true, false]);
  });
});

it('a loss in one context is reported in no other', async () => {
  await useContextOfThree();
  expect(await run()).toBe(false);
  replaceKernel('died');
  await recorded();
  const used = contextId;
  for (const other of [null, ...(await observer.queries.openContexts([scripted.session.id]))]) {
    contextId = other?.id ?? null;
    if (contextId !== used) expect(await run()).toBe(false);
  }
  contextId = used;
  expect([await run(), await run()]).toEqual([true, false]);
});

it('no loss is reported if the kernel was replaced before the worker had a user', async () => {
  const acting = actingGateway(await db.open());
  gateways.push(acting);
  const whileIdle: ScriptedSession['whileIdle'] = async ({ worker, agent, replaceKernel }) => {
    await acting.adopt(worker);
    await expect.poll(() => agent.isConnected).toBe(true);
    replaceKernel('died');
    // A gateway acknowledges a replacement only after it has stored the replacement.
    await agent.receivedAtLeast(1);
  };
  const used = await startScriptedWorker(observer, { whileIdle });
  await scripted.close();
  scripted = used;
  expect(await run()).toBe(false);
});
