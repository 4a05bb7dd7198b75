/** Code with what notebooks ask of it, in real workers, as doors see it: at two gateways, one of which has the worker. */
import { expect, it } from 'vitest';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { useRealService } from '../support/realService.ts';

const { gateways } = await useRealService(2);
const [one, other] = gateways.map(({ service }) => service);
if (!one || !other) throw new Error('There must be two.');
const userUuid = 'ann';

const submit = (code: string, more: Partial<ExecuteRequest> = {}) =>
  one.submit(AUTH_TOKEN_HOLDER, { userUuid, code, isNotebookCell: true, ...more });
const run = (code: string, more: Partial<ExecuteRequest> = {}) =>
  one.execute(AUTH_TOKEN_HOLDER, { userUuid, code, isNotebookCell: true, ...more });

it('a cell has its number from its start on, at every gateway', async () => {
  await run('import time');
  const cell = await submit('time.sleep(60)');
  const started = await Promise.all(
    [one, other].map((service) => service.untilStarted(AUTH_TOKEN_HOLDER, cell.id)),
  );
  for (const execution of started)
    expect(execution).toMatchObject({ status: 'RUNNING', executionCount: 2, finishedAt: null });
  const queued = await submit('3');
  const waiting = other.untilStarted(AUTH_TOKEN_HOLDER, queued.id);
  await one.interrupt(AUTH_TOKEN_HOLDER, queued.id);
  expect(await waiting).toMatchObject({ status: 'CANCELLED', startedAt: null });
  await other.interrupt(AUTH_TOKEN_HOLDER, cell.id);
  expect(await run('4')).toMatchObject({ status: 'OK', executionCount: 3 });
});

it('a cell that kills its kernel keeps the number that it began with', async () => {
  await one.restartKernel(AUTH_TOKEN_HOLDER, userUuid);
  await run('import os');
  const killed = await run('os._exit(3)');
  expect(killed).toMatchObject({ errorName: 'KernelDied', executionCount: 2, stateLost: true });
  expect(await run('get_ipython().execution_count = -5')).toMatchObject({ executionCount: 1 });
  expect(await run('1')).toMatchObject({ status: 'OK' });
});

it('a waiting for the start ends with its signal', async () => {
  const [cell, queued] = [await submit('import time; time.sleep(60)'), await submit('1')];
  const aborter = new AbortController();
  const waiting = other.untilStarted(AUTH_TOKEN_HOLDER, queued.id, aborter.signal);
  aborter.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await one.interrupt(AUTH_TOKEN_HOLDER, cell.id);
  await expect(one.untilStarted(AUTH_TOKEN_HOLDER, 'nobody')).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

it('a cell of a notebook may be empty, and has the time limit of commands', async () => {
  expect(await run('')).toMatchObject({ status: 'OK', timeoutMs: 86_400_000 });
  expect(await submit('1', { timeoutMs: 86_400_000 })).toMatchObject({ timeoutMs: 86_400_000 });
  expect(await submit('1', { isNotebookCell: false })).toMatchObject({ timeoutMs: 10_000 });
  const refused = { code: 'BAD_USER_INPUT' };
  await expect(submit('1', { timeoutMs: 86_400_001 })).rejects.toMatchObject(refused);
  await expect(submit('', { isNotebookCell: false })).rejects.toMatchObject(refused);
  await expect(submit('true', { language: 'BASH' })).rejects.toMatchObject(refused);
});
