/** Interrupts and kernel restarts may be requested at any gateway; the holder of the worker carries each out once. */
import { describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import type { Database } from '../../src/events/database.ts';
import { FencedByWorkerError } from '../../src/kernel/channel/kernelErrors.ts';
import { newId } from '../../src/process/newId.ts';
import { commitOne, kernelRestartRequested, onSession } from '../../testkit/events.ts';
import { createDatabaseProxy } from '../support/databaseProxy.ts';
import { recordCalls } from '../support/scriptedAgent.ts';
import {
  actingGateway,
  startScriptedWorker,
  type TwoGateways,
  useTwoGateways,
} from '../support/scriptedWorker.ts';

let holder: TwoGateways['holder'];
let other: TwoGateways['other'];
let scripted: TwoGateways['scripted'];
const { db, observer } = await useTwoGateways((fresh) => {
  ({ holder, other, scripted } = fresh);
});

const TOOK_IT = { interrupted: true, known: true };
const NEVER_GOT_IT = { interrupted: false, known: false };

async function eventIds(kind: 'execution' | 'session', id: string, type: string) {
  const events = await db.readStream(kind, id);
  return events.filter(({ event }) => event.type === type).map(({ metadata }) => metadata.eventId);
}

/** Resolves with the next event of that type once the gateway has been notified of it. */
function notified({ wakeUps }: Database, type: string): Promise<RecordedEvent> {
  return new Promise((resolve) => {
    const off = wakeUps.onEvent((recorded) => {
      if (recorded.event.type !== type) return;
      off();
      resolve(recorded);
    });
  });
}

async function statusOf(id: string): Promise<string | undefined> {
  const [row] = await db.sql<{ status: string }[]>`SELECT status FROM executions WHERE id = ${id}`;
  return row?.status;
}

describe('an interrupt', () => {
  it('requested at another gateway reaches the agent with the id of the recorded event', async () => {
    const http = recordCalls(scripted.agent, () => TOOK_IT);
    await holder.adopt(scripted.worker);
    const execution = await scripted.request(holder.database);
    await scripted.untilSent(execution.id);
    scripted.begin(execution.id);
    const interrupted = other.interrupt(execution);
    await http.atLeast(1);
    scripted.finish(execution.id, 'interrupted');
    expect(await interrupted).toMatchObject({ status: 'INTERRUPTED' });
    const [requestId] = await eventIds('execution', execution.id, 'InterruptRequested');
    expect(http.calls).toMatchObject([
      { path: '/interrupt', body: { msg_id: execution.id, request_id: requestId } },
    ]);
  });

  it('has the signal that was asked for, even after a take-over', async () => {
    const asked = { path: '/interrupt', body: { signal: 'SIGKILL' } };
    recordCalls(scripted.agent, () => null);
    await holder.adopt(scripted.worker);
    const execution = await scripted.requestCommand(holder.database);
    await scripted.untilSent(execution.id);
    scripted.begin(execution.id);
    const interrupted = other.interrupt(execution, 'SIGKILL');
    await notified(observer, 'InterruptRequested');
    await holder.die();
    const http = recordCalls(scripted.agent, () => TOOK_IT);
    await other.adopt(scripted.worker);
    await http.atLeast(1);
    scripted.finish(execution.id, 'interrupted', { exit_code: null, signal: 'SIGKILL' });
    expect(await interrupted).toMatchObject({ status: 'INTERRUPTED', signal: 'SIGKILL' });
    expect(http.calls).toMatchObject([asked]);
    const events = await db.readStream('execution', execution.id);
    expect(events.find(({ event }) => event.type === 'InterruptRequested')).toMatchObject({
      event: { data: { signal: 'SIGKILL' } },
    });
  });

  it('between take-over and connection does not cancel code that the agent has', async () => {
    const http = recordCalls(scripted.agent, () => TOOK_IT);
    await holder.adopt(scripted.worker);
    const execution = await scripted.request(holder.database);
    await scripted.untilSent(execution.id);
    await holder.die();
    scripted.agent.refuseWith = 503;
    await other.adopt(scripted.worker);
    const interrupted = other.interrupt(execution);
    await http.atLeast(1);
    expect(await statusOf(execution.id)).toBe('QUEUED');
    scripted.begin(execution.id);
    scripted.finish(execution.id, 'interrupted');
    scripted.agent.refuseWith = null;
    expect(await interrupted).toMatchObject({ status: 'INTERRUPTED' });
  });

  it('of code that the agent never got cancels it, and the code is never sent', async () => {
    recordCalls(scripted.agent, () => NEVER_GOT_IT);
    const execution = await scripted.request(observer);
    const next = await scripted.request(observer);
    scripted.agent.refuseWith = 503;
    await other.adopt(scripted.worker);
    expect(await other.interrupt(execution)).toMatchObject({ status: 'CANCELLED' });
    scripted.agent.refuseWith = null;
    await scripted.untilSent(next.id);
    expect(scripted.sent()).toEqual([next.id]);
  });

  it('that was recorded while nobody held the worker is carried out before the code is sent', async () => {
    const http = recordCalls(scripted.agent, () => NEVER_GOT_IT);
    const execution = await scripted.request(observer);
    const next = await scripted.request(observer);
    const interrupted = holder.interrupt(execution);
    await expect
      .poll(() => eventIds('execution', execution.id, 'InterruptRequested'))
      .toHaveLength(1);
    await other.adopt(scripted.worker);
    expect(await interrupted).toMatchObject({ status: 'CANCELLED' });
    await scripted.untilSent(next.id);
    expect(scripted.sent()).toEqual([next.id]);
    expect(http.calls).toHaveLength(1);
  });

  it('is sent again under the same id if its gateway died after sending it', async () => {
    let isDeaf = true;
    const http = recordCalls(scripted.agent, () => (isDeaf ? null : TOOK_IT));
    await holder.adopt(scripted.worker);
    const execution = await scripted.request(holder.database);
    await scripted.untilSent(execution.id);
    const interrupted = other.interrupt(execution);
    await http.atLeast(1);
    isDeaf = false;
    await holder.die();
    await other.adopt(scripted.worker);
    await http.atLeast(2);
    scripted.begin(execution.id);
    scripted.finish(execution.id, 'interrupted');
    expect(await interrupted).toMatchObject({ status: 'INTERRUPTED' });
    const [first, second] = http.calls;
    expect(second).toEqual({ ...first, body: { ...first?.body, epoch: 2 } });
  });

  it('prevents its code from being sent, even if the gateway died before the agent answered', async () => {
    let isDeaf = true;
    recordCalls(scripted.agent, () => (isDeaf ? null : NEVER_GOT_IT));
    const [before, execution] = [
      await scripted.request(observer),
      await scripted.request(observer),
    ];
    await holder.adopt(scripted.worker);
    await scripted.untilSent(before.id);
    scripted.begin(before.id);
    const interrupted = other.interrupt(execution);
    await notified(holder.database, 'InterruptRequested');
    // Now it is the execution's turn, and the gateway waits for the agent's answer. According to the database, the
    // execution may be running.
    scripted.finish(before.id, 'finished');
    await expect.poll(() => statusOf(before.id)).toBe('OK');
    isDeaf = false;
    await holder.die();
    const next = await scripted.request(observer);
    await other.adopt(scripted.worker);
    expect(await interrupted).toMatchObject({ status: 'CANCELLED' });
    await scripted.untilSent(next.id);
    expect(scripted.sent()).toEqual([before.id, next.id]);
  });

  it('of queued code is stored before the next code is sent, so a successor finds the same order', async () => {
    const proxy = await createDatabaseProxy(db.address);
    const slow = actingGateway(await db.open(newId<GatewayId>(), proxy.address));
    const first = await scripted.request(observer);
    await slow.adopt(scripted.worker);
    await scripted.untilSent(first.id);
    scripted.begin(first.id);
    const [cancelled, last] = [await scripted.request(observer), await scripted.request(observer)];
    proxy.delay(300);
    const interrupted = other.interrupt(cancelled);
    await notified(slow.database, 'InterruptRequested');
    scripted.finish(first.id, 'finished');
    await scripted.untilSent(last.id);
    expect(await statusOf(cancelled.id)).toBe('CANCELLED');
    expect(await interrupted).toMatchObject({ status: 'CANCELLED' });
    expect(scripted.sent()).toEqual([first.id, last.id]);
    await slow.die();
    await proxy.close();
  });

  it('of an execution that has ended is not even recorded', async () => {
    await holder.adopt(scripted.worker);
    const execution = await scripted.request(holder.database);
    await scripted.untilSent(execution.id);
    scripted.begin(execution.id);
    scripted.finish(execution.id, 'finished');
    await expect.poll(() => statusOf(execution.id)).toBe('OK');
    expect(await other.interrupt(execution)).toMatchObject({ status: 'OK' });
    expect(await eventIds('execution', execution.id, 'InterruptRequested')).toEqual([]);
  });
});

describe('a call', () => {
  it('reaches the agent with the epoch of the lease', async () => {
    const http = recordCalls(scripted.agent, () => TOOK_IT);
    const held = await holder.adopt(scripted.worker);
    expect(await held.call('interrupt', { msgId: 'm', requestId: 'r' })).toEqual(TOOK_IT);
    expect(http.calls).toEqual([
      { path: '/interrupt', body: { epoch: 1, msg_id: 'm', request_id: 'r' } },
    ]);
  });

  it('that the agent refuses with a higher epoch ends the gateway’s work for the worker: the gateway stores nothing more', async () => {
    const execution = await scripted.request(observer);
    const held = await holder.adopt(scripted.worker);
    await scripted.untilSent(execution.id);
    scripted.agent.answer = (_request, response) => {
      response.writeHead(409).end('{"error":"stale_epoch","epoch":2}');
    };
    await expect(held.call('restart', { requestId: 'r' })).rejects.toThrow(FencedByWorkerError);
    expect(held.isOpen).toBe(false);
    scripted.begin(execution.id);
    scripted.finish(execution.id, 'finished');
    await expect(held.call('restart', { requestId: 'r' })).rejects.toThrow(/abort/i);
    expect(await statusOf(execution.id)).toBe('QUEUED');
  });
});

describe('a kernel restart', () => {
  it('requested at another gateway returns once it is recorded', async () => {
    const http = recordCalls(scripted.agent, () => ({ kernel_generation: 2 }));
    await holder.adopt(scripted.worker);
    const restarted = other.restartKernel(scripted.session);
    await http.atLeast(1);
    scripted.replaceKernel('user');
    expect(await restarted).toMatchObject({ kernelRestarts: 1, closedAt: null });
    const [requestId] = await eventIds('session', scripted.session.id, 'KernelRestartRequested');
    expect(http.calls).toMatchObject([{ path: '/restart', body: { request_id: requestId } }]);
  });

  it('is requested again by the successor of a dead holder, once and under the same id', async () => {
    const http = recordCalls(scripted.agent, () => null);
    await holder.adopt(scripted.worker);
    const restarted = other.restartKernel(scripted.session);
    await http.atLeast(1);
    await holder.die();
    await other.adopt(scripted.worker);
    await http.atLeast(2);
    scripted.replaceKernel('user');
    expect(await restarted).toMatchObject({ kernelRestarts: 1 });
    const ids = new Set(http.calls.map(({ body }) => body.request_id));
    expect([...ids]).toEqual(
      await eventIds('session', scripted.session.id, 'KernelRestartRequested'),
    );
    const third = actingGateway(await db.open());
    await other.die();
    await third.adopt(scripted.worker);
    await scripted.agent.connected();
    expect(http.calls).toHaveLength(2);
    await third.die();
  });

  it('of another session, requested during a take-over, does not restart the kernel of the session taken over', async () => {
    const http = recordCalls(scripted.agent, () => ({ kernel_generation: 2 }));
    const adopting = holder.adopt(scripted.worker);
    // The holder does not know which worker the other session has, because it does not hold that worker.
    holder.hear(anothersRestart());
    await adopting;
    const restarted = other.restartKernel(scripted.session);
    await http.atLeast(1);
    scripted.replaceKernel('user');
    await restarted;
    const [requestId] = await eventIds('session', scripted.session.id, 'KernelRestartRequested');
    expect(http.calls).toMatchObject([{ path: '/restart', body: { request_id: requestId } }]);
  });

  it('is never carried out for a session that is closed meanwhile', async () => {
    const requested = notified(observer, 'KernelRestartRequested');
    const restarted = other.restartKernel(scripted.session);
    expect((await requested).streamId).toBe(scripted.session.id);
    const session = await observer.queries.session(scripted.session.id);
    if (!session) throw new Error('There is no session.');
    const at = new Date().toISOString();
    const close = { type: 'SessionClosed', data: { reason: 'released', at } } as const;
    await commitOne(observer.store, onSession(session, close));
    expect(await restarted).toBeNull();
  });
});

it('code that a former holder sent gets its real end, although the successor has not set the session’s variables yet', async () => {
  let hasTaken = true;
  const session = await startScriptedWorker(observer, { variables: { NAME: 'value' } });
  const http = recordCalls(session.agent, () => (hasTaken ? { count: 1 } : null));
  await holder.adopt(session.worker);
  const execution = await session.request(observer);
  await session.untilSent(execution.id);
  await holder.die();
  hasTaken = false;
  session.begin(execution.id);
  session.finish(execution.id, 'finished');
  const before = http.calls.length;
  await other.adopt(session.worker);
  await http.atLeast(before + 1);
  await expect.poll(() => statusOf(execution.id)).toBe('OK');
  expect(session.sent()).toEqual([execution.id]);
  await session.close();
});

it('a restarted agent is not sent the code again, even after it has got the session’s variables', async () => {
  let hasTaken = true;
  const session = await startScriptedWorker(observer, { variables: { NAME: 'value' } });
  const http = recordCalls(session.agent, ({ path }) => {
    if (path !== '/variables') return TOOK_IT;
    return hasTaken ? { count: 1 } : {};
  });
  await holder.adopt(session.worker);
  const execution = await session.request(observer);
  await session.untilSent(execution.id);
  session.begin(execution.id);
  await expect.poll(() => statusOf(execution.id)).toBe('RUNNING');
  await holder.die();
  hasTaken = false;
  session.agent.reboot('boot-2');
  const before = http.calls.length;
  const held = await other.adopt(session.worker);
  await expect.poll(() => held.isOpen).toBe(true);
  await http.atLeast(before + 1);
  hasTaken = true;
  await http.atLeast(before + 2);
  await held.call('interrupt', { msgId: execution.id, requestId: newId() });
  expect(session.sent()).toEqual([execution.id]);
  await session.close();
});

/** The request of another session, recorded after everything else. */
function anothersRestart(): RecordedEvent {
  return {
    ...{ position: Number.MAX_SAFE_INTEGER, streamKind: 'session', streamId: newId() },
    ...{ version: 3, schemaVersion: 1, event: kernelRestartRequested(), recordedAt: new Date() },
    metadata: {
      ...{ eventId: newId(), gatewayId: newId(), causationId: null },
      ...{ correlationId: newId(), actor: null },
    },
  };
}
