/** Contexts as callers of the service see them, at two gateways. The workers are simulated. */

import { beforeEach, describe, expect, it, vi } from 'vitest';
import { WORKER_HOME } from '../../src/domain/worker.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { CARRY_OUT_LIMIT_MS } from '../../src/service/waiting.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const MAX_CONTEXTS = 4;

const { db, workers, start, userUuid } = await useServiceGateways({
  MAX_CONTEXTS: String(MAX_CONTEXTS),
  MAX_QUEUED_EXECUTIONS: '2',
});
const othersDatabase = await db.open();
const gateways = [await start(), await start({ database: othersDatabase })] as const;
const [{ service: one }, { service: other }] = gateways;
beforeEach(() => {
  workers.hasNoKernels = false;
});

const create = (more: { name?: string; workingDirectory?: string } = {}, service = one) =>
  service.createContext(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), ...more });
const run = (contextId?: string, code = '1', service = one) =>
  service.execute(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code, contextId });
const list = (service = one) => service.contexts(AUTH_TOKEN_HOLDER, userUuid());
const remove = (id: string, service = one) =>
  service.deleteContext(AUTH_TOKEN_HOLDER, userUuid(), id);

describe('createContext', () => {
  it('opens a session, whose default context has the id of the session', async () => {
    expect(await list()).toEqual([]);
    const context = await create({ name: 'a' });
    const session = await one.session(AUTH_TOKEN_HOLDER, userUuid());
    expect(context).toMatchObject({
      name: 'a',
      isDefault: false,
      sessionId: session?.id,
      workingDirectory: WORKER_HOME,
      status: 'READY',
    });
    expect(await list(other)).toMatchObject([
      { id: session?.id, isDefault: true, name: null, status: 'READY' },
      { id: context.id, name: 'a' },
    ]);
    for (const id of [session?.id, context.id, undefined])
      expect(await run(id)).toMatchObject({ status: 'OK', sessionId: session?.id });
  });

  it('returns the open context of the same name, even to simultaneous calls at two gateways', async () => {
    const made = await Promise.all(
      [one, other, one, other].map((service) => create({ name: 'same' }, service)),
    );
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(await list()).toHaveLength(2);
    await remove(made[0]?.id ?? '');
    expect((await create({ name: 'same' })).id).not.toBe(made[0]?.id);
  });

  it('makes all 32 contexts that may be open, if they are requested at the same time', async () => {
    const gateway = await start({ settings: { MAX_CONTEXTS: '32' } });
    const made = await Promise.all(Array.from({ length: 32 }, () => create({}, gateway.service)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(32);
    await expect(create({}, gateway.service)).rejects.toMatchObject({ code: 'CONTEXT_LIMIT' });
  });

  it('refuses another folder for the name of an open context, and says which field differs', async () => {
    await create({ name: 'same', workingDirectory: '.' });
    await expect(create({ name: 'same', workingDirectory: '/tmp' }, other)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'workingDirectory' },
    });
    await expect(create({ name: 'same', workingDirectory: WORKER_HOME })).resolves.toBeDefined();
  });

  it('makes at most MAX_CONTEXTS, even if several gateways are asked at the same time', async () => {
    await run();
    const calls = Array.from({ length: MAX_CONTEXTS + 4 }, (_, n) =>
      create({}, n % 2 === 0 ? one : other),
    );
    const made = await Promise.allSettled(calls);
    const refused = made.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(4);
    for (const each of refused)
      expect(each).toMatchObject({
        reason: { code: 'CONTEXT_LIMIT', details: { limit: MAX_CONTEXTS } },
      });
    const [, first] = await list();
    expect(await remove(first?.id ?? '', other)).toBe(true);
    await create();
  });

  it('returns the context as STARTING if the worker does not answer for a long time', async () => {
    const { workerId } = await run();
    workers.frozen.push(workerId);
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const created = Promise.all([create(), create({ name: 'a' })]);
      await expect.poll(() => list()).toHaveLength(3);
      vi.advanceTimersByTime(CARRY_OUT_LIMIT_MS + 1);
      const contexts = await created;
      expect(contexts).toMatchObject([{ status: 'STARTING' }, { name: 'a', status: 'STARTING' }]);
      expect((await list(other)).slice(1).map(({ id }) => id)).toEqual(
        expect.arrayContaining(contexts.map(({ id }) => id)),
      );
    } finally {
      vi.useRealTimers();
      workers.frozen.length = 0;
    }
  });

  it('at a stopping gateway reports that the context is being made nevertheless', async () => {
    const stopping = await start();
    const { sessionId } = await create({}, stopping.service);
    const session = await db.queries.session(sessionId);
    workers.frozen.push(session?.workerId ?? '');
    const refused = expect(create({}, stopping.service)).rejects.toMatchObject({
      code: 'SHUTTING_DOWN',
      message: expect.stringMatching(/ended\. The context is being made.* had no name/),
      details: { accepted: true },
    });
    await expect.poll(() => list(other)).toHaveLength(3);
    await stopping.server.close(AbortSignal.abort());
    await refused;
    workers.frozen.length = 0;
    expect(await list(other)).toHaveLength(3);
  });

  it('fails if no kernel can be started, and leaves the name free', async () => {
    await run();
    workers.hasNoKernels = true;
    await expect(create({ name: 'b' })).rejects.toMatchObject({ code: 'CONTEXT_FAILED' });
    workers.hasNoKernels = false;
    expect(await create({ name: 'b' }, other)).toMatchObject({ status: 'READY' });
  });
});

describe('code in a context', () => {
  it('runs beside code in other contexts, and each context has a queue of its own', async () => {
    workers.hold();
    const [a, b] = [await create(), await create()];
    const submit = (contextId?: string) =>
      one.submit(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code: HOLD, contextId });
    for (const context of [a.id, b.id, undefined]) {
      for (let n = 0; n < 3; n += 1) await submit(context);
      await expect(submit(context)).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    }
    const count = async (status: 'RUNNING' | 'QUEUED') =>
      (await one.executions(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), statuses: [status] }, {}))
        .edges.length;
    await expect.poll(() => count('RUNNING')).toBe(3);
    workers.letGo();
    await expect.poll(() => count('QUEUED')).toBe(0);
    expect(await run(a.id, '2', other)).toMatchObject({ status: 'OK', contextId: a.id });
  });

  it.each(['nothing', '00000000-0000-7000-8000-000000000000'])(
    'is refused if the context is unknown: %s',
    async (id) => {
      await expect(run(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      // No session was opened for it.
      expect(await one.session(AUTH_TOKEN_HOLDER, userUuid())).toBeNull();
    },
  );

  it('is refused in a context of another user, of an earlier session, and in a deleted one', async () => {
    const { id } = await create();
    const stranger = { userUuid: 'stranger', code: '1' };
    await one.execute(AUTH_TOKEN_HOLDER, stranger);
    await expect(
      one.execute(AUTH_TOKEN_HOLDER, { ...stranger, contextId: id }),
    ).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    expect(await one.deleteContext(AUTH_TOKEN_HOLDER, stranger.userUuid, id)).toBe(false);
    const session = await one.session(AUTH_TOKEN_HOLDER, userUuid());
    await one.release(AUTH_TOKEN_HOLDER, userUuid());
    await run();
    for (const ended of [id, session?.id])
      await expect(run(ended)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const again = await create();
    await remove(again.id);
    await expect(run(again.id, '1', other)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is found by its idempotency key even after its context has ended; in another context the key conflicts', async () => {
    const [a, b] = [await create(), await create()];
    const keyed = (contextId?: string, service = one) =>
      service.execute(AUTH_TOKEN_HOLDER, {
        userUuid: userUuid(),
        code: '1',
        contextId,
        idempotencyKey: 'k',
      });
    const first = await keyed(a.id);
    for (const different of [b.id, undefined])
      await expect(keyed(different, other)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_CONFLICT',
        details: { different: ['contextId'] },
      });
    await remove(a.id);
    expect(await keyed(a.id, other)).toMatchObject({ id: first.id });
  });

  it('of one batch may run in several contexts', async () => {
    const { id } = await create();
    const cells = [{ code: '1', contextId: id }, { code: '2' }];
    const done = await one.executeBatch(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), cells });
    expect(done).toMatchObject([
      { status: 'OK', contextId: id },
      { status: 'OK', contextId: null },
    ]);
  });
});

describe('restartKernel', () => {
  it('of a context loses the state of that context only', async () => {
    const [a, b] = [await create(), await create()];
    for (const id of [a.id, b.id, undefined]) await run(id);
    await other.restartKernel(AUTH_TOKEN_HOLDER, userUuid(), a.id);
    expect(await list()).toMatchObject([
      { kernelRestarts: 0 },
      { kernelRestarts: 1 },
      { kernelRestarts: 0 },
    ]);
    const lost = [];
    for (const id of [undefined, a.id, a.id, b.id]) lost.push((await run(id)).stateLost);
    expect(lost).toEqual([false, true, false, false]);
  });

  it('of a context that has ended is refused', async () => {
    const { id } = await create();
    await remove(id);
    await expect(one.restartKernel(AUTH_TOKEN_HOLDER, userUuid(), id)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

describe('deleteContext', () => {
  it('is refused for the default context, and does nothing for an unknown one', async () => {
    await run();
    const session = await one.session(AUTH_TOKEN_HOLDER, userUuid());
    await expect(remove(session?.id ?? '')).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'contextId' },
    });
    expect(await remove('nothing')).toBe(false);
  });

  it('may be called twice at the same time', async () => {
    const { id } = await create();
    // The second call has read that the context is open when the first one deletes it.
    vi.spyOn(othersDatabase.queries, 'contexts').mockImplementationOnce(async (ids) => {
      const open = await db.queries.contexts(ids);
      expect(await remove(id)).toBe(true);
      return open;
    });
    expect(await remove(id, other)).toBe(true);
    expect(await list()).toHaveLength(1);
  });
});

it('the end of the session ends its contexts', async () => {
  const { id } = await create();
  await one.release(AUTH_TOKEN_HOLDER, userUuid());
  expect(await list()).toEqual([]);
  expect((await db.queries.contexts([id as never]))[0]).toMatchObject({ endReason: 'released' });
});
