/** Code with what notebooks ask of it, in real workers, as doors see it: at two gateways, one of which has the worker. */
import { expect, it } from 'vitest';
import type { KernelQuestion } from '../../src/domain/kernelQuestion.ts';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { useRealService } from '../support/realService.ts';

const { db, gateways } = await useRealService(2);
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

const ask = (question: KernelQuestion, service = one, contextId: string | null = null) =>
  service.askKernel(AUTH_TOKEN_HOLDER, { userUuid, contextId, question });
const complete = (code: string, service = one) =>
  ask({ type: 'complete', code, cursor: [...code].length }, service);
/** All that is recorded, and when the session was used. */
const recorded = async () => [
  await db.sql`SELECT count(*) FROM events`,
  await db.sql`SELECT count(*) FROM output_events`,
  await db.sql`SELECT * FROM session_uses ORDER BY session_id`,
];

it('an idle kernel answers at every gateway, and nothing is recorded of it', async () => {
  await run('needle_one = needle_two = 1\nclass 漢: 字 = 1');
  const before = await recorded();
  expect(await complete('needle_', other)).toEqual({
    type: 'complete',
    matches: ['needle_one', 'needle_two'],
    cursorStart: 0,
    cursorEnd: 7,
  });
  expect(await complete('漢.')).toMatchObject({ matches: expect.arrayContaining(['.字']) });
  expect(await ask({ type: 'inspect', code: 'len', cursor: 3, detail: 0 })).toMatchObject({
    found: true,
    data: { 'text/plain': expect.stringContaining('number of items') },
  });
  expect(await ask({ type: 'isComplete', code: 'for x in y:' }, other)).toEqual({
    type: 'isComplete',
    status: 'incomplete',
    indent: '    ',
  });
  const tail = { type: 'history', access: 'tail', raw: true, output: false, count: 1 } as const;
  expect(await ask(tail)).toMatchObject({ entries: [{ input: expect.stringMatching(/^needle/) }] });
  expect(await recorded()).toEqual(before);
});

it('a kernel that runs code, and one that nobody has, gives no answer at once', async () => {
  const { id: contextId } = await one.createContext(AUTH_TOKEN_HOLDER, { userUuid });
  const cell = await submit('import time; time.sleep(60)');
  await one.untilStarted(AUTH_TOKEN_HOLDER, cell.id);
  const began = performance.now();
  expect([await complete('pri'), await complete('pri', other)]).toEqual([null, null]);
  expect(performance.now() - began).toBeLessThan(1_000);
  const question = { type: 'complete', code: 'pri', cursor: 3 } as const;
  expect(await ask(question, other, contextId)).toMatchObject({
    matches: expect.arrayContaining(['print']),
  });
  expect(await one.kernelInfo(AUTH_TOKEN_HOLDER, userUuid)).not.toBeNull();
  await one.interrupt(AUTH_TOKEN_HOLDER, cell.id);
  await one.deleteContext(AUTH_TOKEN_HOLDER, userUuid, contextId);
  await expect(ask(question, other, contextId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const ofNobody = { userUuid: 'nobody', question };
  expect(await one.askKernel(AUTH_TOKEN_HOLDER, ofNobody)).toBeNull();
  expect(await one.session(AUTH_TOKEN_HOLDER, 'nobody')).toBeNull();
});

it('an answer that takes too long is given up within its limit, and code runs on', async () => {
  await run('import time\nclass Slow:\n def __dir__(self): time.sleep(60)\nslow = Slow()');
  const began = performance.now();
  expect(await complete('slow.')).toBeNull();
  expect(performance.now() - began).toBeLessThan(2_500);
  expect(await run('1')).toMatchObject({ status: 'OK', stateLost: false });
});

it('the facts of the kernel are its own', async () => {
  const text = 'import sys, IPython; sys.version.split()[0], IPython.__version__';
  const { id } = await run(text);
  const facts = await other.kernelInfo(AUTH_TOKEN_HOLDER, userUuid);
  const outputs = await one.followExecution(AUTH_TOKEN_HOLDER, id, 0);
  const first = await outputs.next();
  await outputs.return?.();
  expect(JSON.stringify(first.value)).toContain(
    `('${facts?.language.version}', '${facts?.implementationVersion}')`,
  );
  expect(facts).toMatchObject({ implementation: 'ipython', protocolVersion: '5.3' });
  expect(await one.kernelInfo(AUTH_TOKEN_HOLDER, 'nobody')).toBeNull();
});

it.each<[string, KernelQuestion]>([
  ['code', { type: 'isComplete', code: 'é'.repeat(131_073) }],
  ['cursor', { type: 'complete', code: '漢', cursor: 2 }],
  ['cursor', { type: 'inspect', code: 'a', cursor: 0.5, detail: 0 }],
  [
    'pattern',
    { type: 'history', access: 'search', raw: true, output: true, pattern: 'a'.repeat(1_001) },
  ],
  ['count', { type: 'history', access: 'tail', raw: true, output: true, count: 2 ** 31 }],
])('a question with a wrong %s is refused', async (field, question) => {
  await expect(ask(question)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', details: { field } });
});
