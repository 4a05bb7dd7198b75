/** Code with the options of notebook cells, in real workers, at two gateways, one of which holds the worker. */
import { expect, it } from 'vitest';
import type { KernelQuestion } from '../../src/domain/kernelQuestion.ts';
import type { ExecuteRequest } from '../../src/service/execute/validateRequest.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useRealService } from '../support/serviceGateways.ts';

const { db, gateways } = await useRealService(2);
const [one, other] = gateways.map(({ service }) => service);
if (!one || !other) throw new Error('There must be two.');
const userUuid = 'ann';

const submit = (code: string, more: Partial<ExecuteRequest> = {}) =>
  one.submit(AUTH_TOKEN_HOLDER, { userUuid, code, isNotebookCell: true, ...more });
const run = (code: string, more: Partial<ExecuteRequest> = {}) =>
  one.execute(AUTH_TOKEN_HOLDER, { userUuid, code, isNotebookCell: true, ...more });

/** Resolves with the execution once it has begun. */
const begun = (id: string, service = one) =>
  until('a start', async () => {
    const execution = await service.execution(AUTH_TOKEN_HOLDER, id);
    return execution?.startedAt && execution;
  });

const ended = (id: string) =>
  until('an end', async () => {
    const execution = await one.execution(AUTH_TOKEN_HOLDER, id);
    return execution?.finishedAt && execution;
  });

it('a cell has its execution count from its start on, at every gateway', async () => {
  await run('import time');
  const cell = await submit('time.sleep(60)');
  const started = await Promise.all([one, other].map((service) => begun(cell.id, service)));
  for (const execution of started)
    expect(execution).toMatchObject({ status: 'RUNNING', executionCount: 2, finishedAt: null });
  await other.interrupt(AUTH_TOKEN_HOLDER, cell.id);
  expect(await run('4')).toMatchObject({ status: 'OK', executionCount: 3 });
});

it('a cell that kills its kernel keeps the execution count that it began with', async () => {
  await one.restartKernel(AUTH_TOKEN_HOLDER, userUuid);
  await run('import os');
  const killed = await run('os._exit(3)');
  expect(killed).toMatchObject({ errorName: 'KernelDied', executionCount: 2, stateLost: true });
  expect(await run('get_ipython().execution_count = -5')).toMatchObject({ executionCount: 1 });
  expect(await run('1')).toMatchObject({ status: 'OK' });
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

it('a kernel that runs code, or that does not exist, gives no answer, and the call returns at once', async () => {
  const { id: contextId } = await one.createContext(AUTH_TOKEN_HOLDER, { userUuid });
  const cell = await submit('import time; time.sleep(60)');
  await begun(cell.id);
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

it('an answer that takes too long is given up within its limit, and the kernel goes on', async () => {
  await run('import time\nclass Slow:\n def __dir__(self): time.sleep(60)\nslow = Slow()');
  const began = performance.now();
  expect(await complete('slow.')).toBeNull();
  expect(performance.now() - began).toBeLessThan(2_500);
  expect(await run('1')).toMatchObject({ status: 'OK', stateLost: false });
});

it('kernelInfo has the versions of the real kernel', async () => {
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

const outputsOf = async (id: string) => {
  const outputs: unknown[] = [];
  for await (const { output } of await other.followExecution(AUTH_TOKEN_HOLDER, id, 0))
    outputs.push(output);
  return outputs;
};

it('a silent cell has no number of its own and no result; a cell outside of the history does not use its count up', async () => {
  const { executionCount: before } = await run('1');
  const silent = await run('print("shown"); 7', { silent: true });
  const asBefore = { executionCount: before };
  expect(silent).toMatchObject({ status: 'OK', options: { silent: true }, ...asBefore });
  expect(await outputsOf(silent.id)).toEqual([
    { kind: 'stream', name: 'stdout', text: 'shown\n' },
    { kind: 'finish' },
  ]);
  const unstored = await submit('import time; time.sleep(60)', { storeHistory: false });
  const next = Number(before) + 1;
  const numbered = { executionCount: next };
  expect(await begun(unstored.id, other)).toMatchObject({ status: 'RUNNING', ...numbered });
  await other.interrupt(AUTH_TOKEN_HOLDER, unstored.id);
  expect(await ended(unstored.id)).toMatchObject({ status: 'INTERRUPTED', ...numbered });
  expect(await run('2')).toMatchObject({ executionCount: next });
});

it('expressions beside a cell are recorded like code, and their results like output', async () => {
  const userExpressions = [
    { name: 'six', code: 'x * 7' },
    { name: 'no', code: '1 / 0' },
    { name: 'odd', code: '"\u0000\ud800"' },
  ];
  const { id, codeBytes } = await run('x = 6', { userExpressions });
  expect(codeBytes).toBe(5 + 8 + 7 + 3 + Buffer.byteLength('"\u0000\ud800"'));
  const [results, finish] = await outputsOf(id);
  expect(finish).toEqual({ kind: 'finish' });
  expect(results).toEqual({
    kind: 'expressions',
    results: {
      six: { status: 'ok', data: { 'text/plain': '42' }, metadata: {} },
      no: expect.objectContaining({ status: 'error', name: 'ZeroDivisionError' }),
      odd: expect.objectContaining({ status: 'error', name: 'UnicodeEncodeError' }),
    },
  });
  const [requested] = await db.readStream('execution', id);
  expect(requested?.event.data).toMatchObject({ userExpressions });
  const [audited] = await db.sql`
    SELECT user_expressions FROM audit.executions WHERE execution_id = ${id}`;
  expect(audited?.userExpressions).toContain('1 / 0');
  const failed = await run('1 / 0', { userExpressions });
  expect(JSON.stringify(await outputsOf(failed.id))).not.toContain('expressions');
});

it('a key names the same request only with the same options', async () => {
  const userExpressions = [{ name: 'a', code: '1' }];
  const keyed = { idempotencyKey: 'k', userExpressions, silent: true };
  const { id } = await run('1', keyed);
  expect((await run('1', keyed)).id).toBe(id);
  const changed = { ...keyed, silent: false, userExpressions: [{ name: 'a', code: '2' }] };
  await expect(run('1', changed)).rejects.toMatchObject({
    code: 'IDEMPOTENCY_CONFLICT',
    details: { different: ['silent', 'userExpressions.a'] },
  });
});

it('malformed expressions, and options that commands do not have, are refused', async () => {
  const wrong: Partial<ExecuteRequest>[] = [
    { userExpressions: [{ name: '', code: '1' }] },
    { userExpressions: new Array(65).fill(0).map((_, n) => ({ name: `n${n}`, code: '1' })) },
    { userExpressions: ['a', 'a'].map((name) => ({ name, code: '1' })) },
    { userExpressions: [{ name: 'a', code: 'x'.repeat(1_048_576) }] },
    { userExpressions: [{ name: 'a\u0000', code: '1' }] },
    { isNotebookCell: false, language: 'BASH', silent: true },
    { isNotebookCell: false, language: 'BASH', storeHistory: false },
    { isNotebookCell: false, language: 'BASH', userExpressions: [{ name: 'a', code: '1' }] },
  ];
  for (const more of wrong)
    await expect(submit('1', more)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
});
