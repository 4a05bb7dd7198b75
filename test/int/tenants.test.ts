/** What one tenant is shown while another is at work. The workers are programmed. */
import { describe, expect, it } from 'vitest';
import { newId } from '../../src/process/newId.ts';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../src/service/principal.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { workers, start } = await useServiceGateways({ MAX_TOTAL_WORKERS: '7' });
const { service } = await start();
const holder = (tenant: string, role: Principal['role'] = 'TENANT'): Principal => ({
  ...AUTH_TOKEN_HOLDER,
  role,
  tenant,
});
const [A, B, AUDITOR] = [holder('a'), holder('b'), holder('a', 'AUDITOR')];
const ADVICE = { outputs: 'x', list: 'x' } as never;

const run = (principal: Principal, code = '1', userUuid = 'ann') =>
  service.execute(principal, { userUuid, code });

describe('a tenant', () => {
  it('is shown its own share of the pool, and told of nothing while only others act', async () => {
    await run(A);
    const own = {
      totalWorkers: 1,
      busyWorkers: 1,
      idleWorkers: 0,
      startingWorkers: 0,
      waitingRequests: 0,
      minIdleWorkers: null,
      maxTotalWorkers: 7,
    };
    expect(await service.poolStatus(A)).toMatchObject(own);
    const following = service.followPoolStatus(A);
    expect((await following.next()).value).toMatchObject(own);
    const next = following.next();
    for (const userUuid of ['one', 'two']) await run(B, '1', userUuid);
    expect(await service.poolStatus(B)).toMatchObject({ totalWorkers: 2, busyWorkers: 2 });
    await run(A, '1', 'bob');
    // The calls of the other tenant caused no item. The call of the second user of A did; that user may still wait.
    const { busyWorkers, waitingRequests } = (await next).value ?? own;
    expect(busyWorkers + waitingRequests).toBeGreaterThanOrEqual(2);
    await expect
      .poll(() => service.poolStatus(A))
      .toMatchObject({ ...own, totalWorkers: 2, busyWorkers: 2 });
    await following.return?.();
    expect((await service.poolStatus(AUTH_TOKEN_HOLDER)).busyWorkers).toBe(4);
  });

  it('is shown its own numbers by /metrics', async () => {
    workers.hold();
    const held = await service.submit(A, { userUuid: 'ann', code: HOLD });
    const queued = await service.submit(A, { userUuid: 'ann', code: HOLD });
    await service.submit(B, { userUuid: 'one', code: HOLD });
    await expect
      .poll(() => service.metrics(A))
      .toEqual({
        of: 'tenant',
        openSessions: 2,
        waitingRequests: 0,
        queuedExecutions: 1,
        runningExecutions: 1,
        quotas: expect.arrayContaining([
          { kind: 'OPEN_SESSIONS', tenant: 'a', userUuid: null, limit: null, used: 2 },
        ]),
      });
    workers.letGo();
    for (const { id } of [held, queued])
      await expect.poll(async () => (await service.execution(A, id))?.status).toBe('OK');
    expect(await service.metrics(AUTH_TOKEN_HOLDER)).toMatchObject({ of: 'installation' });
  });

  it('pages through its executions by cursors that reveal no position, and that no other tenant can use', async () => {
    for (let count = 0; count < 3; count += 1) {
      await run(A);
      await run(B, '1', 'one');
    }
    const first = await service.executions(A, {}, { first: 2 });
    const cursors = first.edges.map(({ cursor }) => cursor);
    expect(cursors).toEqual(first.edges.map(({ item }) => item.id));
    const rest = await service.executions(A, {}, { after: cursors[1] });
    const all = (await service.executions(A, {}, {})).edges.map(({ item }) => item.id);
    expect([...cursors, ...rest.edges.map(({ item }) => item.id)]).toEqual(all);
    const refusals = await Promise.all(
      [cursors[1] ?? '', newId(), '7'].map((after) =>
        service
          .executions(B, {}, { after })
          .catch(({ message, code }) => ({ message, code, after })),
      ),
    );
    for (const refusal of refusals)
      expect(refusal).toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('must be a cursor of an earlier page'),
      });
  });
});

it('a tenant sees its quota of sessions as the size of the pool', async () => {
  await service.setQuota(AUTH_TOKEN_HOLDER, { kind: 'OPEN_SESSIONS', limit: 3, tenant: 'a' });
  await expect.poll(() => service.poolStatus(A)).toMatchObject({ maxTotalWorkers: 3 });
  expect(await service.poolStatus(B)).toMatchObject({ maxTotalWorkers: 7 });
});

describe('the history of a tenant', () => {
  const positions = async (principal: Principal, types: string[] | null = null) =>
    (await service.events(principal, { types }, { first: 1_000 })).edges.map(
      ({ item }) => item.position,
    );
  const count = (length: number) => Array.from({ length }, (_, index) => index + 1);

  it('has positions of its own, however much others do in between', async () => {
    const before = await positions(A);
    expect(before).toEqual(count(before.length));
    await run(B, '1', 'one');
    expect(await positions(A)).toEqual(before);
    await run(A);
    await run(B, '1', 'one');
    const after = await positions(A);
    // Requested, started, finished.
    expect(after).toEqual(count(before.length + 3));
    const page = await service.events(A, {}, { first: 2 });
    expect(page.edges.map(({ cursor }) => cursor)).toEqual(['1', '2']);
    const rest = await service.events(A, {}, { first: 1, after: '2' });
    expect(rest.edges.map(({ item }) => item.position)).toEqual([3]);
    const all = (await service.events(AUTH_TOKEN_HOLDER, {}, { first: 1_000 })).edges;
    expect(all.length).toBeGreaterThan(after.length);
  });

  it('lists only its own streams and workers, and an event has the same position in each list', async () => {
    const session = await service.session(A, 'ann');
    const other = await service.session(B, 'one');
    if (!session || !other) throw new Error('There are no sessions.');
    const opened = await service.sessionEvents(A, session.id, {});
    const listed = await service.events(A, { types: ['SessionOpened'] }, {});
    expect(listed.edges.map(({ item }) => item.metadata.eventId)).toContain(
      opened?.edges[0]?.item.metadata.eventId,
    );
    expect(await positions(A, ['SessionOpened'])).toContain(opened?.edges[0]?.item.position);
    const ofWorker = await service.workerEvents(A, session.workerId, {});
    expect(ofWorker?.edges.map(({ item }) => item.event.type)).toContain('WorkerAssigned');
    for (const principal of [B, holder('b', 'AUDITOR')]) {
      expect(await service.workerEvents(principal, session.workerId, {})).toBeNull();
      expect(await service.sessionEvents(principal, session.id, {})).toBeNull();
    }
    const own = (await service.workers(A, {}, {})).edges.map(({ item }) => item.id);
    expect(own).toContain(session.workerId);
    expect(own).not.toContain(other.workerId);
    expect(own.length).toBe((await service.sessions(A, {}, {})).edges.length);
  });
});

it('an operator lists what another tenant has, and nobody else does', async () => {
  const sessions = await service.sessions(AUTH_TOKEN_HOLDER, { tenant: 'b' }, {});
  expect(sessions.edges.map(({ item }) => item.tenant)).toContain('b');
  const executions = await service.executions(AUTH_TOKEN_HOLDER, { tenant: 'b' }, { first: 1 });
  expect(executions.edges[0]?.item.tenant).toBe('b');
  const after = executions.edges[0]?.cursor;
  const next = await service.executions(AUTH_TOKEN_HOLDER, { tenant: 'b' }, { first: 1, after });
  expect(next.edges[0]?.item.tenant).toBe('b');
  for (const principal of [A, AUDITOR]) {
    const refused = { code: 'FORBIDDEN' };
    await expect(service.sessions(principal, { tenant: 'b' }, {})).rejects.toMatchObject(refused);
    await expect(service.executions(principal, { tenant: 'b' }, {})).rejects.toMatchObject(refused);
    expect((await service.sessions(principal, { tenant: 'a' }, {})).edges).not.toEqual([]);
  }
});

describe('an auditor', () => {
  it('sees that code ran, but neither the code nor its output', async () => {
    const { id } = await run(A, 'raise');
    const execution = await service.execution(AUDITOR, id);
    if (!execution) throw new Error('It sees no execution.');
    const seen = service.answer(AUDITOR, ADVICE);
    expect(await seen.code(execution)).toBeNull();
    expect(await seen.codeUnavailable(execution)).toBe('HIDDEN');
    expect(await seen.error(execution)).toEqual({ name: 'E', value: '', traceback: [] });
    expect(await seen.outputs(execution, { after: 0, first: null })).toEqual([]);
    for (const name of ['stdout', 'stderr', 'stdoutRendered'] as const)
      expect(await seen.assembled(execution, name)).toBe('');
    expect(execution.codeSha256).toMatch(/^[0-9a-f]{64}$/);
    const whole = service.answer(A, ADVICE);
    expect(await whole.code(execution)).toBe('raise');
    expect(await whole.codeUnavailable(execution)).toBeNull();
    expect((await whole.outputs(execution, { after: 0, first: null })).length).toBeGreaterThan(0);
  });
});
