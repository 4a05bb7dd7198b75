/** Code in a sandbox of E2B's door, with a real worker, at the gateway that holds it and at another one. */
import { beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../testkit/until.ts';
import { type Line, type Sandbox, useSandboxes } from '../support/e2b/sandboxes.ts';

const { service, owner, open, stop } = await useSandboxes();
let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await open({ FROM_CREATE: 'created', BOTH: 'created' });
});

const typesOf = (lines: readonly Line[]) => lines.map(({ type }) => type);
const textOf = (lines: readonly Line[], wanted = 'stdout') =>
  lines.filter(({ type }) => type === wanted).map(({ text }) => text);
const error = (lines: readonly Line[]) => lines.find(({ type }) => type === 'error');

describe.each([0, 1])('at gateway %i', (at) => {
  const run = (code: string, more: object = {}) => sandbox.run({ code, ...more }, at);

  it('code is answered with its number, its prints, its result and the end', async () => {
    const [number, ...more] = await run('print("a")\n1 + 1');
    expect(number).toEqual({ type: 'number_of_executions', execution_count: expect.any(Number) });
    expect(more).toEqual([
      { type: 'stdout', text: 'a\n', timestamp: expect.stringMatching(/^\d{4}-.*Z$/) },
      { type: 'result', text: '2', is_main_result: true },
      { type: 'end_of_execution' },
    ]);
    const [next] = await run('2');
    expect(next?.execution_count).toBe(Number(number?.execution_count) + 1);
  });

  it('a print that no other print follows immediately is one event, even if it was written in pieces', async () => {
    const code = `import sys, time
for text in ("one", "two"):
    print(text)
    time.sleep(0.2)
sys.stdout.write("thr"); sys.stdout.flush()
sys.stdout.write("ee\\n"); sys.stdout.flush()
time.sleep(0.2)
print("x" * 1_000_000)
print("err", file=sys.stderr)`;
    const lines = await run(code);
    const [one, two, three, long, ...more] = textOf(lines);
    expect([one, two, three]).toEqual(['one\n', 'two\n', 'three\n']);
    expect([long, ...more].join('')).toBe(`${'x'.repeat(1_000_000)}\n`);
    expect(textOf(lines, 'stderr')).toEqual(['err\n']);
  });

  it('text without the end of a line arrives while the code runs', async () => {
    const gone = new AbortController();
    const body = { code: 'print("now", end="")\nimport time\ntime.sleep(60)' };
    const response = await sandbox.call(at, 'POST', '/execute', body, gone.signal);
    let seen = '';
    for await (const chunk of response.body ?? []) {
      seen += Buffer.from(chunk).toString();
      if (seen.includes('"now"')) break;
    }
    gone.abort();
    expect(typesOf(await run('3'))).toContain('result');
  });

  it('the answer is ASCII only', async () => {
    const code = 'print("é 😀 \\u2028 \\x85")\n"ж"';
    const text = await (await sandbox.call(at, 'POST', '/execute', { code })).text();
    expect(text).toMatch(/^[\x20-\x7e\n]+$/);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(textOf(lines)).toEqual(['é 😀 \u2028 \x85\n']);
    expect(textOf(lines, 'result')).toEqual(['ж']);
  });

  it('an error has a name, a value and a traceback', async () => {
    const lines = await run('def f():\n    return xyz\nf()');
    expect(typesOf(lines)).toEqual(['number_of_executions', 'error', 'end_of_execution']);
    expect(error(lines)).toMatchObject({
      name: 'NameError',
      value: "name 'xyz' is not defined",
      traceback: expect.stringContaining('NameError'),
    });
  });

  it('a kernel that dies is reported as an error', async () => {
    const lines = await run('import os\nos._exit(3)');
    expect(error(lines)).toMatchObject({ name: 'KernelDied', traceback: '' });
    expect(textOf(await run('4'), 'result')).toEqual(['4']);
  });

  it('code has the environment variables of its sandbox, and for one execution those of its call', async () => {
    const code = 'import os\n[os.getenv(n) for n in ("FROM_CREATE", "BOTH", "OWN")]';
    const before = await run(code);
    const during = await run(code, { env_vars: { BOTH: 'called', OWN: "it's" } });
    const after = await run(code, { env_vars: null, context_id: null, language: null });
    expect(textOf(before, 'result')).toEqual(["['created', 'created', None]"]);
    expect(textOf(during, 'result')).toEqual([`['created', 'called', "it's"]`]);
    expect(textOf(after, 'result')).toEqual(textOf(before, 'result'));
  });

  it('code whose client goes away is interrupted, and what is queued behind it runs', async () => {
    const gone = new AbortController();
    const body = { code: 'import time\ntime.sleep(60)' };
    const response = await sandbox.call(at, 'POST', '/execute', body, gone.signal);
    await response.body?.getReader().read();
    const next = run('"next"');
    gone.abort();
    expect(textOf(await next, 'result')).toEqual(['next']);
  });

  it('bash runs cells one at a time, with the environment variables but without the variables of earlier cells', async () => {
    const bash = (code: string, more: object = {}) => run(code, { language: 'bash', ...more });
    expect(textOf(await bash('pwd'))).toEqual(['/home/user\n']);
    expect(textOf(await bash('X=1; echo $FROM_CREATE'))).toEqual(['created\n']);
    const both = await bash('echo $BOTH $[X]', { env_vars: { BOTH: 'called' } });
    expect(textOf(both)).toEqual(['called 0\n']);
    expect(textOf(await bash('echo $BOTH'))).toEqual(['created\n']);
    expect(textOf(await bash('echo e >&2'), 'stderr')).toEqual(['e\n']);
    expect(error(await bash('exit 3'))).toMatchObject({ value: 'exit status 3', traceback: '' });
    expect(typesOf(await bash('\n'))).not.toContain('error');
    const [slow, quick] = await Promise.all([bash('sleep 0.3; echo slow'), bash('echo quick')]);
    expect([textOf(slow), textOf(quick)]).toEqual([['slow\n'], ['quick\n']]);
  });
});

describe('contexts', () => {
  interface Shown {
    readonly id: string;
    readonly language: string;
    readonly cwd: string;
  }
  const ask = async (method: string, path: string, body?: unknown, at = 0) => {
    const response = await sandbox.call(at, method, path, body);
    return { status: response.status, body: await response.json() };
  };
  const list = async (at = 0) => (await ask('GET', '/contexts', undefined, at)).body as Shown[];
  const create = async (body: object) => (await ask('POST', '/contexts', body)).body as Shown;
  const remove = (id: string, at = 0) => ask('DELETE', `/contexts/${id}`, undefined, at);

  it('are listed with the default one first, then in the order in which they were made', async () => {
    const made = await create({ language: null, cwd: null });
    expect(made).toEqual({ id: expect.any(String), language: 'python', cwd: '/home/user' });
    for (const at of [0, 1]) {
      const [first, ...more] = await list(at);
      expect(first).toMatchObject({ language: 'python', cwd: '/home/user' });
      expect(more.at(-1)).toEqual(made);
    }
    expect(await remove(made.id, 1)).toEqual({ status: 200, body: null });
    expect((await list()).map(({ id }) => id)).not.toContain(made.id);
  });

  it('begin in their folder, and are shown with the folder as it was given', async () => {
    await sandbox.run({ code: 'import os; os.makedirs("sub/folder", exist_ok=True)' });
    const cwdIn = async ({ id }: Shown) =>
      textOf(await sandbox.run({ code: 'import os; print(os.getcwd())', context_id: id }));
    for (const [cwd, found] of [
      ['/tmp', '/tmp\n'],
      ['sub/folder', '/home/user/sub/folder\n'],
      ['~/sub', '/home/user/sub\n'],
      ['/root', '/home/user\n'],
      ['/nowhere/at/all', '/home/user\n'],
    ] as const) {
      const made = await create({ cwd });
      expect(made).toMatchObject({ cwd, language: 'python' });
      expect(await cwdIn(made)).toEqual([found]);
      await remove(made.id);
    }
    const long = `/nowhere/${'x'.repeat(200)}`;
    const refused = await sandbox.call(0, 'POST', '/contexts', { cwd: long });
    expect([refused.status, refused.statusText]).toEqual([400, expect.stringContaining('cwd')]);
  });

  it('of bash have their folder, too', async () => {
    const made = await create({ language: 'bash', cwd: '/tmp' });
    expect(made).toMatchObject({ language: 'bash', cwd: '/tmp' });
    expect(await list(1)).toContainEqual(made);
    expect(textOf(await sandbox.run({ code: 'pwd', context_id: made.id }, 1))).toEqual(['/tmp\n']);
    await remove(made.id);
  });

  it('have variables of their own, which a restart loses', async () => {
    const { id } = await create({});
    const run = (code: string) => sandbox.run({ code, context_id: id });
    await run('own = 1');
    expect(error(await sandbox.run({ code: 'own' }))).toMatchObject({ name: 'NameError' });
    const running = sandbox.run({ code: 'import time; time.sleep(60)', context_id: id }, 1);
    await begun();
    expect(await ask('POST', `/contexts/${id}/restart`)).toEqual({ status: 200, body: null });
    expect(error(await running)).toEqual({
      type: 'error',
      name: 'ContextRestarting',
      value: 'Context was restarted',
      traceback: '',
    });
    expect(error(await run('own'))).toMatchObject({ value: "name 'own' is not defined" });
    await remove(id);
  });

  it('that are deleted end the code that runs in them', async () => {
    const { id } = await create({});
    const running = sandbox.run({ code: 'import time; time.sleep(60)', context_id: id });
    await begun();
    await remove(id);
    expect(error(await running)).toMatchObject({ name: 'UnexpectedEndOfExecution' });
    const refused = await sandbox.call(0, 'POST', '/execute', { code: '1', context_id: id });
    expect([refused.status, await refused.text()]).toEqual([404, `Context ${id} not found`]);
  });

  it('include the default one, which a deletion only empties', async () => {
    const [{ id } = { id: '' }] = await list();
    await sandbox.run({ code: 'kept = 1' });
    expect(await remove(id)).toEqual({ status: 200, body: null });
    for (const context_id of [id, 'default', null])
      expect(error(await sandbox.run({ code: 'kept', context_id }))?.name).toBe('NameError');
  });

  it('that do not exist are answered with 404', async () => {
    for (const [method, path] of [
      ['DELETE', '/contexts/nothing'],
      ['POST', '/contexts/nothing/restart'],
      ['DELETE', '/contexts/%zz'],
    ] as const)
      expect((await sandbox.call(0, method, path)).status).toBe(404);
  });
});

/** Resolves when something runs. */
const begun = () =>
  until('a start', async () => {
    const { userUuid } = sandbox;
    const page = await service.executions(owner, { userUuid }, { first: 1, after: null });
    return JSON.stringify(page).includes('"RUNNING"');
  });

describe('a request that is refused', () => {
  it.each([
    ['code that is not text', { code: 5 }, 422, 'code: Input should be a valid string'],
    ['no code', {}, 422, 'code: Input should be a valid string'],
    ['a list', [], 422, 'The body should be a JSON object'],
    ['variables that are not texts', { code: '1', env_vars: { A: 1 } }, 422, 'env_vars'],
    [
      'a bad name of a variable',
      { code: '1', env_vars: { 'A-B': '1' } },
      400,
      'environmentVariables',
    ],
    [
      'context and language',
      { code: '1', context_id: 'x', language: 'python' },
      400,
      'Only one of',
    ],
    ['another language', { code: '1', language: 'js' }, 400, 'Language "js" is not supported'],
    ['an unknown context', { code: '1', context_id: 'x' }, 404, 'Context x not found'],
  ])('for %s says why in its status line', async (_what, body, status, phrase) => {
    const refused = await sandbox.call(0, 'POST', '/execute', body);
    expect(refused.status).toBe(status);
    expect(refused.statusText).toContain(phrase);
    await refused.text();
  });

  it('for an unknown path or method has the status 404 or 405', async () => {
    expect((await sandbox.call(0, 'GET', '/contexts/a/b')).status).toBe(404);
    expect((await sandbox.call(0, 'GET', '/execute')).status).toBe(405);
    expect(await (await sandbox.call(0, 'GET', '/health')).json()).toBe('OK');
  });
});

it('the answer for silent code has a keepalive every 5 s, and breaks off when the sandbox is killed', async () => {
  const own = await open();
  const response = await own.call(1, 'POST', '/execute', { code: 'import time; time.sleep(60)' });
  let seen = '';
  const reading = (async () => {
    for await (const chunk of response.body ?? []) {
      seen += Buffer.from(chunk).toString();
      if (seen.includes('keepalive')) void own.kill();
    }
  })();
  await expect(reading).rejects.toThrow();
  expect(
    typesOf(
      seen
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
  ).toEqual(['number_of_executions', 'keepalive']);
  for (const at of [0, 1])
    expect((await own.call(at, 'POST', '/execute', { code: '1' })).status).toBe(502);
});

it('code whose gateway stops goes on, and its connection breaks off', async () => {
  const own = await open();
  const response = await own.call(1, 'POST', '/execute', {
    code: 'import time; time.sleep(1); kept = "kept"',
  });
  await Promise.all([expect(response.text()).rejects.toThrow(), stop(1)]);
  expect(textOf(await own.run({ code: 'kept' }), 'result')).toEqual(['kept']);
});
