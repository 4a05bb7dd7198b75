/** Commands as callers of the service see them, at two gateways. The workers are programmed. */

import { describe, expect, it } from 'vitest';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { HOLD } from '../support/programmedRuntime.ts';
import { replaceIdle, useServiceGateways } from '../support/serviceGateways.ts';

const MAX_COMMANDS = 3;
const MAX_QUEUED = 2;
const DAY_MS = 86_400_000;

const { db, workers, start, userUuid } = await useServiceGateways({
  MAX_COMMANDS: String(MAX_COMMANDS),
  MAX_QUEUED_EXECUTIONS: String(MAX_QUEUED),
});
const gateways = [await start(), await start()] as const;
const [{ service: one }, { service: other }] = gateways;

const command = (code: string, more: Partial<ExecuteRequest> = {}): ExecuteRequest => ({
  userUuid: userUuid(),
  code,
  language: 'BASH',
  ...more,
});
const run = (code: string, more: Partial<ExecuteRequest> = {}, service = one) =>
  service.execute(AUTH_TOKEN_HOLDER, command(code, more));
const cell = (service = one) =>
  service.execute(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code: '1' });
const count = async (status: 'RUNNING' | 'QUEUED') =>
  (await one.executions(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), statuses: [status] }, {})).edges
    .length;

describe('a command', () => {
  it('has the exit code or the signal of its process, and shares the session with cells', async () => {
    const fine = { language: 'BASH', contextId: null, stateLost: false, signal: null };
    const first = await run('true');
    expect(first).toMatchObject({ ...fine, status: 'OK', exitCode: 0, errorName: null });
    const failed = { status: 'ERROR', exitCode: 3, errorValue: 'exit code 3' };
    expect(await run('exit 3', {}, other)).toMatchObject({ ...fine, ...failed });
    expect(await run('signal SIGKILL')).toMatchObject({
      status: 'ERROR',
      exitCode: null,
      signal: 'SIGKILL',
      errorName: 'CommandFailed',
      errorValue: 'signal SIGKILL',
    });
    expect(await cell()).toMatchObject({
      sessionId: first.sessionId,
      language: 'PYTHON',
      exitCode: null,
      stateLost: false,
    });
  });

  it('runs beside cells and other commands, up to the limits of running and of waiting commands', async () => {
    workers.hold();
    const held = { userUuid: userUuid(), code: HOLD };
    await one.submit(AUTH_TOKEN_HOLDER, held);
    for (let n = 0; n < MAX_COMMANDS + MAX_QUEUED; n += 1)
      await (n % 2 === 0 ? one : other).submit(AUTH_TOKEN_HOLDER, command(HOLD));
    await expect.poll(() => count('RUNNING')).toBe(MAX_COMMANDS + 1);
    for (const service of [one, other])
      await expect(service.submit(AUTH_TOKEN_HOLDER, command(HOLD))).rejects.toMatchObject({
        code: 'QUEUE_FULL',
        message: expect.stringContaining('commands'),
        details: { limit: MAX_QUEUED, queued: MAX_QUEUED },
      });
    // Cells have a queue of their own.
    await other.submit(AUTH_TOKEN_HOLDER, held);
    expect(await count('RUNNING')).toBe(MAX_COMMANDS + 1);
    workers.letGo();
    await expect.poll(() => count('QUEUED')).toBe(0);
    await expect.poll(() => count('RUNNING')).toBe(0);
  });

  it('may run for a day, unlike a cell', async () => {
    expect(await run('true', { timeoutMs: DAY_MS })).toMatchObject({ timeoutMs: DAY_MS });
    for (const timeoutMs of [null, DAY_MS, DAY_MS + 1])
      expect(await run('true', { isProcess: true, timeoutMs })).toMatchObject({
        timeoutMs: DAY_MS,
      });
    const refused = { code: 'BAD_USER_INPUT', details: { field: 'timeoutMs' } };
    await expect(run('true', { isProcess: true, timeoutMs: 0 })).rejects.toMatchObject(refused);
    await expect(run('true', { timeoutMs: DAY_MS + 1 })).rejects.toMatchObject(refused);
    const long = { language: 'PYTHON', timeoutMs: DAY_MS } as const;
    await expect(run('1', long)).rejects.toMatchObject(refused);
  });

  it.each<[string, string, Partial<ExecuteRequest>]>([
    ['code', 'x'.repeat(131_072), {}],
    ['code', 'a\0b', {}],
    ['code', 'a\ud800', {}],
    ['contextId', 'true', { contextId: '00000000-0000-7000-8000-000000000000' }],
    ['keepAlive', '1', { language: 'PYTHON', keepAlive: true }],
    ['label', 'true', { label: 'x'.repeat(257) }],
    ['label', 'true', { label: 'a\0b' }],
    ['isProcess', '1', { language: 'PYTHON', isProcess: true }],
  ])('is refused with a wrong %s, before a session is opened', async (field, code, more) => {
    await expect(run(code, more)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field },
    });
    expect(await one.session(AUTH_TOKEN_HOLDER, userUuid())).toBeNull();
  });

  it('conflicts under its idempotency key with the same code as a cell', async () => {
    const keyed = { idempotencyKey: 'k' };
    const first = await run('true', keyed);
    expect(await run('true', keyed, other)).toMatchObject({ id: first.id });
    await expect(run('true', { ...keyed, language: 'PYTHON' })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
      details: { different: ['language'] },
    });
    await expect(run('true', { ...keyed, keepAlive: true }, other)).rejects.toMatchObject({
      details: { different: ['keepAlive'] },
    });
  });

  it('stops a batch when it fails, as a cell does', async () => {
    const cells = ['true', 'exit 1', 'true'].map((code) => ({ code, language: 'BASH' as const }));
    const batch = { userUuid: userUuid(), cells: [{ code: '1' }, ...cells] };
    const done = await one.executeBatch(AUTH_TOKEN_HOLDER, batch);
    expect(done.map(({ status }) => status)).toEqual(['OK', 'OK', 'ERROR']);
    expect(
      await one.executeBatch(AUTH_TOKEN_HOLDER, { ...batch, stopOnError: false }),
    ).toHaveLength(4);
  });

  it('is found by its process id at any gateway, while it runs and shortly after', async () => {
    workers.hold();
    const [first, second] = [
      await one.submit(AUTH_TOKEN_HOLDER, command(HOLD, { label: 'a' })),
      await other.submit(AUTH_TOKEN_HOLDER, command(HOLD)),
    ];
    await one.submit(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code: HOLD });
    await expect.poll(() => count('RUNNING')).toBe(3);
    const running = await other.commands(AUTH_TOKEN_HOLDER, userUuid());
    expect(running.map(({ execution, code }) => [execution.id, code])).toEqual([
      [first.id, HOLD],
      [second.id, HOLD],
    ]);
    const [pid, otherPid] = running.map(({ execution }) => execution.pid ?? 0);
    expect(pid).not.toBe(otherPid);
    expect(running.map(({ execution }) => execution.options?.label)).toEqual(['a', undefined]);
    const named = async (name: { pid?: number; label?: string }, service = other) =>
      (await service.command(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), ...name }))?.execution.id;
    const find = (id = pid ?? 0, service = other) => named({ pid: id }, service);
    expect([await named({ label: 'a' }), await named({ label: 'b' })]).toEqual([
      first.id,
      undefined,
    ]);
    expect(await find()).toBe(first.id);
    for (const none of [1, 0, -1, 1.5, 2 ** 40]) expect(await find(none)).toBeUndefined();
    workers.letGo();
    await expect.poll(() => count('RUNNING')).toBe(0);
    expect(await find(otherPid, one)).toBe(second.id);
    expect(await one.commands(AUTH_TOKEN_HOLDER, userUuid())).toEqual([]);
    await db.sql`UPDATE executions SET finished_at = finished_at - interval '31 s' WHERE id = ${second.id}`;
    expect(await find(otherPid)).toBeUndefined();
    await one.release(AUTH_TOKEN_HOLDER, userUuid());
    expect(await find()).toBeUndefined();
  });

  it('that runs is found rather than an ended one with the same process id', async () => {
    const done = await run('true');
    workers.hold();
    const held = await one.submit(AUTH_TOKEN_HOLDER, command(HOLD));
    await expect.poll(() => count('RUNNING')).toBe(1);
    await db.sql`UPDATE executions SET pid = 7 WHERE id IN (${done.id}, ${held.id})`;
    const asked = { userUuid: userUuid(), pid: 7 };
    expect(await other.command(AUTH_TOKEN_HOLDER, asked)).toMatchObject({
      execution: { id: held.id },
    });
    workers.letGo();
    await expect.poll(() => count('RUNNING')).toBe(0);
  });

  it('gets the signal that is requested at any gateway, but a cell is refused a signal', async () => {
    workers.hold();
    const held = await one.submit(AUTH_TOKEN_HOLDER, command(HOLD));
    const heldCell = await one.submit(AUTH_TOKEN_HOLDER, { userUuid: userUuid(), code: HOLD });
    await expect.poll(() => count('RUNNING')).toBe(2);
    await expect(other.interrupt(AUTH_TOKEN_HOLDER, heldCell.id, 'SIGKILL')).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'signal' },
    });
    const killed = { status: 'INTERRUPTED', exitCode: null, signal: 'SIGKILL' };
    expect(await other.interrupt(AUTH_TOKEN_HOLDER, held.id, 'SIGKILL')).toMatchObject(killed);
    expect(await one.interrupt(AUTH_TOKEN_HOLDER, held.id, 'SIGTERM')).toMatchObject(killed);
    workers.letGo();
    await expect.poll(() => count('RUNNING')).toBe(0);
  });

  it('in a worker of a former release has no process id, and can be interrupted with SIGINT only', async () => {
    workers.isFormer = true;
    await replaceIdle(gateways[0], db.queries);
    workers.hold();
    const held = await one.submit(AUTH_TOKEN_HOLDER, command(HOLD));
    workers.isFormer = false;
    await expect.poll(() => count('RUNNING')).toBe(1);
    const [running] = await one.commands(AUTH_TOKEN_HOLDER, userUuid());
    expect(running?.execution.pid).toBeNull();
    for (const service of [one, other])
      await expect(service.interrupt(AUTH_TOKEN_HOLDER, held.id, 'SIGTERM')).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('process ids and signals'),
      });
    expect(await count('RUNNING')).toBe(1);
    expect(await other.interrupt(AUTH_TOKEN_HOLDER, held.id)).toMatchObject({
      status: 'INTERRUPTED',
      signal: null,
    });
    workers.letGo();
    await replaceIdle(gateways[0], db.queries);
  });

  it('that asks for a process is refused in a session on a worker of a former release, and never sent there', async () => {
    workers.isFormer = true;
    await replaceIdle(gateways[0], db.queries);
    const { workerId } = await cell();
    workers.isFormer = false;
    const begun = workers.begun.length;
    for (const service of [one, other])
      await expect(run('true', { isProcess: true }, service)).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('without the process ids'),
      });
    expect(workers.begun).toHaveLength(begun);
    await one.release(AUTH_TOKEN_HOLDER, userUuid());
    // The idle workers are also of the former release, so new workers take their place.
    const fresh = await run('true', { isProcess: true });
    expect(fresh).toMatchObject({ status: 'OK' });
    expect(fresh.workerId).not.toBe(workerId);
  });
});
