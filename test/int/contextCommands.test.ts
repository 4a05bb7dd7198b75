/**
 * Contexts may be created, restarted and deleted at any gateway; the holder of the worker carries that out. The agent
 * is scripted.
 */

import { describe, expect, it } from 'vitest';
import { type Context, decideContext } from '../../src/domain/context.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import type { Database } from '../../src/events/database.ts';
import {
  commitChanges,
  type Deciding,
  decideAndCommit,
} from '../../src/events/store/decideAndCommit.ts';
import { Refusal, recordCalls } from '../support/scriptedAgent.ts';
import {
  actingGateway,
  type ScriptedWorker,
  type TwoGateways,
  useTwoGateways,
} from '../support/scriptedWorker.ts';

/** Ends a context, as the holder of its worker does. */
function endContextCommit(
  { queries }: Pick<Database, 'queries'>,
  id: ContextId,
): Deciding<Context | null, 'unchanged'> {
  return {
    load: async () => (await queries.contexts([id]))[0] ?? null,
    decide: (state) => {
      const at = new Date().toISOString();
      const events = decideContext({ type: 'EndContext', at, reason: 'deleted' }, state);
      return commitChanges({ streams: [{ stream: 'context', id, state, events }] });
    },
  };
}

let holder: TwoGateways['holder'];
let other: TwoGateways['other'];
let scripted: TwoGateways['scripted'];
const { db, execution, observer, untilStatus } = await useTwoGateways((fresh) => {
  ({ holder, other, scripted } = fresh);
});

const stored = async (id: ContextId) => (await observer.queries.contexts([id]))[0];
const untilContext = (id: ContextId, facts: Partial<Context>) =>
  expect.poll(() => stored(id)).toMatchObject(facts);

async function eventTypes(id: ContextId): Promise<string[]> {
  return (await db.readStream('context', id)).map(({ event }) => event.type);
}

/** Lets the holder adopt the worker, and makes a context whose kernel is ready. */
async function readyContext(over?: Parameters<ScriptedWorker['createContext']>[1]) {
  await holder.adopt(scripted.worker);
  const context = await scripted.createContext(observer, over);
  scripted.tellContext(context.id, 'ready');
  await untilContext(context.id, { status: 'READY' });
  return context;
}

describe('the creation of a context', () => {
  it('recorded at another gateway reaches the agent, and its kernel is recorded as ready once', async () => {
    const http = recordCalls(scripted.agent, () => ({ kernel_generation: 1 }));
    const held = await holder.adopt(scripted.worker);
    const { id } = await scripted.createContext(other.database, { workingDirectory: '/tmp' });
    await http.atLeast(1);
    expect(http.calls).toMatchObject([
      { path: '/contexts', body: { context_id: id, working_directory: '/tmp' } },
    ]);
    expect(held.hasContext(id)).toBe(true);
    scripted.tellContext(id, 'ready');
    scripted.tellContext(id, 'ready');
    await untilContext(id, { status: 'READY', endedAt: null });
    expect((await stored(id))?.readyMs).toBeGreaterThanOrEqual(0);
    expect(await eventTypes(id)).toEqual(['ContextCreated', 'ContextStarted']);
  });

  it('is recorded as ready if only the agent’s answer says so, and no report', async () => {
    recordCalls(scripted.agent, () => ({ kernel_generation: 1 }));
    await holder.adopt(scripted.worker);
    const { id } = await scripted.createContext(observer);
    await untilContext(id, { status: 'READY' });
  });

  it('is carried out by the next holder if its gateway died before the agent answered', async () => {
    const http = recordCalls(scripted.agent, () => null);
    await holder.adopt(scripted.worker);
    const { id } = await scripted.createContext(observer);
    await http.atLeast(1);
    await holder.die();
    await other.adopt(scripted.worker);
    await http.atLeast(2);
    expect(http.calls.map(({ body }) => body.context_id)).toEqual([id, id]);
    scripted.tellContext(id, 'ready');
    await untilContext(id, { status: 'READY' });
    // The next holder does not ask again.
    const third = actingGateway(await db.open());
    await other.die();
    await third.adopt(scripted.worker);
    await scripted.agent.connected();
    expect(http.calls).toHaveLength(2);
    await third.die();
  });

  it('comes first: code that was accepted for the context meanwhile is sent once the kernel is ready', async () => {
    const http = recordCalls(scripted.agent, () => null);
    await holder.adopt(scripted.worker);
    const { id } = await scripted.createContext(observer, { workingDirectory: '/home/user/x' });
    await http.atLeast(1);
    const early = await scripted.requestIn(observer, id);
    const plain = await scripted.request(observer);
    await scripted.untilSent(plain.id);
    expect(scripted.sent()).toEqual([plain.id]);
    scripted.tellContext(id, 'ready');
    await scripted.untilSent(early.id);
    const frames = scripted.agent.received.filter(({ channel }) => channel === 'shell');
    expect(frames.map(({ metadata }) => metadata)).toMatchObject([
      { cellhouse: { timeout_ms: expect.any(Number) } },
      { cellhouse: { context: { id, working_directory: '/home/user/x' } } },
    ]);
    expect(JSON.stringify(frames[0])).not.toContain('context');
  });

  it.each([
    ['it has no kernel', 503, 'no_kernel'],
    ['there are too many', 429, 'too_many_contexts'],
    ['its folder has vanished', 404, 'not_found'],
    ['its folder is a file', 409, 'not_a_directory'],
  ])(
    'ends as failed if the agent refuses it because %s, and is never made later',
    async (_why, status, error) => {
      const http = recordCalls(scripted.agent, ({ path }) =>
        path === '/contexts' ? new Refusal(status, error) : { deleted: false },
      );
      const held = await holder.adopt(scripted.worker);
      const { id } = await scripted.createContext(observer);
      const queued = await scripted.requestIn(observer, id);
      await untilContext(id, { status: 'ENDED', endReason: 'failed' });
      await untilStatus(queued.id, 'CANCELLED');
      expect(http.calls.map(({ path }) => path)).toEqual(['/contexts', '/delete_context']);
      expect(held.isOpen).toBe(true);
      expect(scripted.sent()).toEqual([]);
    },
  );

  it('ends as failed if the worker cannot start a kernel', async () => {
    const http = recordCalls(scripted.agent, () => null);
    await holder.adopt(scripted.worker);
    const { id } = await scripted.createContext(observer);
    await http.atLeast(1);
    scripted.tellContext(id, 'failed');
    await untilContext(id, { status: 'ENDED', endReason: 'failed', readyMs: null });
  });

  it('is not requested again once it has failed, even while the failure cannot be stored', async () => {
    const http = recordCalls(scripted.agent, () => new Refusal(503, 'unavailable'));
    const database = await db.open();
    // While three commits are refused, the creation could be retried more than once.
    let refusedCommits = 3;
    const gateway = actingGateway({
      ...database,
      store: {
        ...database.store,
        commit: async (commit) => {
          if (!commit.cursor || refusedCommits === 0) return await database.store.commit(commit);
          refusedCommits -= 1;
          throw new Error('The database is away.');
        },
      },
    });
    await gateway.adopt(scripted.worker);
    const { id } = await scripted.createContext(observer);
    await http.atLeast(1);
    scripted.tellContext(id, 'failed');
    await expect.poll(() => stored(id)).toMatchObject({ status: 'ENDED', endReason: 'failed' });
    expect(refusedCommits).toBe(0);
    expect(http.calls.map(({ path }) => path)).toEqual(['/contexts']);
    await gateway.die();
  });

  it('is requested again if the file helper is just being restarted', async () => {
    let isAway = true;
    const http = recordCalls(scripted.agent, () =>
      isAway ? new Refusal(503, 'unavailable') : null,
    );
    await holder.adopt(scripted.worker);
    const { id } = await scripted.createContext(observer);
    await http.atLeast(1);
    isAway = false;
    await http.atLeast(2);
    expect(http.calls.map(({ path }) => path)).toEqual(['/contexts', '/contexts']);
    await untilContext(id, { status: 'STARTING' });
  });
});

describe('a kernel restart of a context', () => {
  it('requested at another gateway is recorded in the context, and not in the session', async () => {
    const http = recordCalls(scripted.agent, () => ({ kernel_generation: 2 }));
    const context = await readyContext();
    const restarted = other.restartContext(context);
    await http.atLeast(2);
    scripted.replaceKernel('user', context.id);
    expect(await restarted).toMatchObject({ kernelRestarts: 1, status: 'READY' });
    const [, , request] = await db.readStream('context', context.id);
    expect(http.calls[1]).toMatchObject({
      path: '/restart',
      body: { context_id: context.id, request_id: request?.metadata.eventId },
    });
    const session = await observer.queries.session(scripted.session.id);
    expect(session).toEqual(scripted.session);
  });

  it('is requested again by the successor of a dead holder, under the same id', async () => {
    const http = recordCalls(scripted.agent, ({ path }) =>
      path === '/contexts' ? { kernel_generation: 1 } : null,
    );
    const context = await readyContext();
    const restarted = other.restartContext(context);
    await http.atLeast(2);
    await holder.die();
    await other.adopt(scripted.worker);
    await http.atLeast(3);
    scripted.replaceKernel('user', context.id);
    expect(await restarted).toMatchObject({ kernelRestarts: 1 });
    expect(http.calls[2]?.body.request_id).toBe(http.calls[1]?.body.request_id);
  });

  it('makes the context again, if its last kernel died and none could be started', async () => {
    let made = 0;
    const http = recordCalls(scripted.agent, ({ path }) => {
      if (path === '/restart') return new Refusal(404, 'no_context');
      made += 1;
      return { kernel_generation: made };
    });
    const context = await readyContext();
    scripted.replaceKernel('died', context.id);
    scripted.tellContext(context.id, 'failed');
    await untilContext(context.id, { kernelRestarts: 1, status: 'READY', endedAt: null });
    expect(await other.restartContext(context)).toMatchObject({ kernelRestarts: 2 });
    expect(http.calls.map(({ path }) => path)).toEqual(['/contexts', '/restart', '/contexts']);
  });

  it.each([
    ['its folder has vanished', 404, 'not_found'],
    ['its folder is a file now', 409, 'not_a_directory'],
    ['there is no kernel to be had', 503, 'no_kernel'],
  ])(
    'leaves the new kernel to the next execution if the context cannot be made again because %s',
    async (_why, status, error) => {
      let isReady = false;
      const http = recordCalls(scripted.agent, ({ path }) => {
        if (path === '/restart') return new Refusal(404, 'no_context');
        return isReady ? new Refusal(status, error) : { kernel_generation: 1 };
      });
      const context = await readyContext({ workingDirectory: '/home/user/work' });
      isReady = true;
      expect(await other.restartContext(context)).toMatchObject({
        kernelRestarts: 1,
        status: 'READY',
      });
      expect(http.calls.map(({ path }) => path)).toEqual(['/contexts', '/restart', '/contexts']);
    },
  );

  it('is requested again if the file helper is just being restarted', async () => {
    let [isReady, isAway] = [false, true];
    const http = recordCalls(scripted.agent, ({ path }) => {
      if (path === '/restart') return new Refusal(404, 'no_context');
      return isReady && isAway ? new Refusal(503, 'unavailable') : { kernel_generation: 1 };
    });
    const context = await readyContext({ workingDirectory: '/home/user/work' });
    isReady = true;
    const restarted = other.restartContext(context);
    await http.atLeast(3);
    isAway = false;
    expect(await restarted).toMatchObject({ kernelRestarts: 1 });
    expect(http.calls).toHaveLength(5);
  });
});

describe('the deletion of a context', () => {
  it('ends its running execution as INTERRUPTED and its queued ones as CANCELLED, and no execution of other contexts', async () => {
    const http = recordCalls(scripted.agent, ({ path }) => {
      if (path === '/contexts') return { kernel_generation: 1 };
      return path === '/delete_context' ? { deleted: true } : { interrupted: true, known: true };
    });
    const context = await readyContext();
    const running = await scripted.requestIn(observer, context.id);
    const queued = await scripted.requestIn(observer, context.id);
    const plain = await scripted.request(observer);
    for (const { id } of [running, plain]) {
      await scripted.untilSent(id);
      scripted.begin(id);
    }
    const deleted = other.deleteContext(scripted.session, context.id);
    await http.atLeast(2);
    await untilContext(context.id, { status: 'ENDING' });
    const late = await scripted.requestIn(observer, context.id);
    scripted.finish(running.id, 'interrupted', { state_lost: true });
    scripted.tellContext(context.id, 'ended');
    expect(await deleted).toBe(true);
    expect(await execution(running.id)).toMatchObject({ status: 'INTERRUPTED' });
    for (const { id } of [queued, late]) await untilStatus(id, 'CANCELLED');
    expect(await execution(plain.id)).toMatchObject({ finishedAt: null });
    scripted.finish(plain.id, 'finished');
    await untilStatus(plain.id, 'OK');
    expect(scripted.sent()).toEqual([running.id, plain.id]);
    expect(await eventTypes(context.id)).toEqual([
      'ContextCreated',
      'ContextStarted',
      'ContextDeleteRequested',
      'ContextEnded',
    ]);
    expect(await other.deleteContext(scripted.session, context.id)).toBe(false);
  });

  it('is carried out by the next holder, which sends none of the context’s queued code', async () => {
    const http = recordCalls(scripted.agent, ({ path }) =>
      path === '/contexts' ? { kernel_generation: 1 } : null,
    );
    const context = await readyContext();
    const running = await scripted.requestIn(observer, context.id);
    const queued = await scripted.requestIn(observer, context.id);
    await scripted.untilSent(running.id);
    scripted.begin(running.id);
    await untilStatus(running.id, 'RUNNING');
    const deleted = other.deleteContext(scripted.session, context.id);
    await http.atLeast(2);
    await holder.die();
    await other.adopt(scripted.worker);
    await http.atLeast(3);
    expect(http.calls[2]?.body.request_id).toBe(http.calls[1]?.body.request_id);
    scripted.finish(running.id, 'interrupted');
    scripted.tellContext(context.id, 'ended');
    expect(await deleted).toBe(true);
    await untilStatus(queued.id, 'CANCELLED');
    expect(new Set(scripted.sent())).toEqual(new Set([running.id]));
  });

  it('ends the context even if the agent does not have it', async () => {
    recordCalls(scripted.agent, ({ path }) => {
      if (path === '/contexts') return null;
      return path === '/delete_context' ? { deleted: false } : { interrupted: false, known: false };
    });
    await holder.adopt(scripted.worker);
    const { id } = await scripted.createContext(observer);
    const queued = await scripted.requestIn(observer, id);
    expect(await other.deleteContext(scripted.session, id)).toBe(true);
    await untilStatus(queued.id, 'CANCELLED');
    expect(await stored(id)).toMatchObject({ endReason: 'deleted' });
  });

  it('waits for the ends of executions that a former holder may have sent, if the agent knows them', async () => {
    const http = recordCalls(scripted.agent, ({ path }) => {
      if (path === '/contexts') return { kernel_generation: 1 };
      return path === '/delete_context' ? { deleted: false } : { interrupted: false, known: true };
    });
    const context = await readyContext();
    const sent = await scripted.requestIn(observer, context.id);
    await scripted.untilSent(sent.id);
    await holder.die();
    scripted.agent.refuseWith = 503;
    await other.adopt(scripted.worker);
    // The context's kernel died after the execution, and no new one could be started. The next holder is not connected,
    // so it does not know this yet.
    scripted.begin(sent.id);
    scripted.finish(sent.id, 'finished');
    scripted.tellContext(context.id, 'failed');
    const deleted = other.deleteContext(scripted.session, context.id);
    await http.atLeast(3);
    expect(await stored(context.id)).toMatchObject({ status: 'ENDING' });
    scripted.agent.refuseWith = null;
    expect(await deleted).toBe(true);
    expect(await execution(sent.id)).toMatchObject({ status: 'OK' });
  });
});

it('the next holder cancels code that was accepted for a context while or after the context ended', async () => {
  recordCalls(scripted.agent, () => ({ kernel_generation: 1 }));
  const context = await readyContext();
  await holder.die();
  await decideAndCommit(observer.store, endContextCommit(observer, context.id));
  const left = await scripted.requestIn(observer, context.id);
  await other.adopt(scripted.worker);
  await untilStatus(left.id, 'CANCELLED');
  const later = await scripted.requestIn(observer, context.id);
  await untilStatus(later.id, 'CANCELLED');
  expect(scripted.sent()).toEqual([]);
});

it('the end of the session cancels what runs in its contexts', async () => {
  recordCalls(scripted.agent, () => ({ kernel_generation: 1 }));
  const context = await readyContext();
  const running = await scripted.requestIn(observer, context.id);
  await scripted.untilSent(running.id);
  scripted.begin(running.id);
  await untilStatus(running.id, 'RUNNING');
  await scripted.closeSession(observer, 'released');
  await untilStatus(running.id, 'CANCELLED');
});
