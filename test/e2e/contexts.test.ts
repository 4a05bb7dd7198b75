/** Several kernels in a session, with real workers: what they share, and that no kernel affects another. */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  contextsOf,
  createContext,
  deleteContext,
  type ExecutionResult,
  execute,
  follow,
  interrupt,
  printed,
  restartKernel,
  submit,
} from '../../testkit/interpreter.ts';
import { type Counter, contextLoad } from '../support/contextLoad.ts';
import { gateway, gateways, user, useTwoRealGateways } from '../support/installation.ts';

const LONG = { timeoutMs: 120_000 };
/** The numbers of the commands that each session runs beside its contexts. */
const COMMANDS = [0, 1, 2, 3];

const run = (code: string, contextId: string | null = null, options = {}) =>
  execute(gateway, user, code, { contextId, ...options });
const three = async () => {
  const made = [];
  for (const name of ['a', 'b', 'c']) made.push((await createContext(gateway, user, { name })).id);
  return made as [string, string, string];
};

/** Code that ends once all of `names` have begun, which only works if they run at the same time. */
const meet = (own: string, names: readonly string[]) => `
import os, time
open('met-${own}', 'w').close()
while not all(os.path.exists('met-' + name) for name in ${JSON.stringify(names)}): time.sleep(0.01)
print('met')`;

useTwoRealGateways();

describe('the contexts of a session', () => {
  it('run at the same time, with variables and folders of their own, over the same files', async () => {
    await execute(gateway, user, "import os; os.makedirs('work/deep'); owner = 'default'");
    const b = await createContext(gateway, user, { name: 'b', workingDirectory: 'work/deep' });
    const c = await createContext(gateway, user);
    expect(b).toMatchObject({ workingDirectory: '/home/user/work/deep', status: 'READY' });
    const names = ['default', 'b', 'c'];
    const met = await Promise.all([
      run(meet('default', names)),
      run(`%cd -q ~\n${meet('b', names)}`, b.id),
      run(meet('c', names), c.id),
    ]);
    expect(met.map(({ stdout }) => stdout)).toEqual(['met\n', 'met\n', 'met\n']);
    expect(await run('owner', c.id)).toMatchObject({ error: { name: 'NameError' } });
    expect(await run('owner')).toMatchObject({ resultText: "'default'" });
    await restartKernel(gateway, user, b.id);
    expect(await run('import os; os.getcwd()', b.id)).toMatchObject({
      resultText: "'/home/user/work/deep'",
      stateLost: true,
    });
    expect(await run('import os; os.getcwd()', c.id)).toMatchObject({
      resultText: "'/home/user'",
      stateLost: false,
    });
  });

  it('a death, a limit and a restart in one context leave the others as they were', async () => {
    const [a, b, c] = await three();
    for (const id of [null, a, b, c]) await run('n = 1', id);
    const beside = await submit(gateway, user, 'import time; time.sleep(3); n += 1; n', {
      ...LONG,
      contextId: c,
    });
    expect(await run('import os; os.kill(os.getpid(), 9)', a)).toMatchObject({
      status: 'ERROR',
      error: { name: 'KernelDied' },
      stateLost: true,
    });
    const deaf = 'while True:\n    try:\n        while True: pass\n    except BaseException: pass';
    expect(await run(deaf, b, { timeoutMs: 300 })).toMatchObject({
      status: 'TIMEOUT',
      stateLost: true,
    });
    await restartKernel(gateway, user);
    const outputs = await follow(gateway.socket(), beside.id);
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
    const after: ExecutionResult[] = [];
    for (const id of [null, a, b, c]) after.push(await run("globals().get('n')", id));
    expect(after).toMatchObject([
      { resultText: null, stateLost: true },
      { resultText: null, stateLost: true },
      { resultText: null, stateLost: true },
      { resultText: '2', stateLost: false },
    ]);
    expect((await contextsOf(gateway, user)).map(({ kernelRestarts }) => kernelRestarts)).toEqual([
      1, 1, 1, 0,
    ]);
  });

  it('an interrupt in a context and the deletion of a context end no code of other contexts', async () => {
    const [a, b, c] = await three();
    const sleep = "print('on')\nimport time\ntime.sleep(100)";
    const ids = [];
    for (const contextId of [a, b, c])
      ids.push((await submit(gateway, user, sleep, { ...LONG, contextId })).id);
    const queued = await submit(gateway, user, '1', { contextId: b });
    const [inA, inB, inC] = ids as [string, string, string];
    for (const id of [inA, inB, inC]) await printed(gateway.socket(), id, 1);
    const [, other] = gateways;
    expect(await interrupt(other, inA)).toBe('INTERRUPTED');
    expect(await deleteContext(other, user, b)).toBe(true);
    expect(await statuses([inA, inB, queued.id, inC])).toEqual([
      'INTERRUPTED',
      'INTERRUPTED',
      'CANCELLED',
      'RUNNING',
    ]);
    expect(await run('1', a)).toMatchObject({ status: 'OK', stateLost: false });
    await interrupt(gateway, inC);
  });
});

async function statuses(ids: readonly string[]): Promise<(string | undefined)[]> {
  const found = [];
  for (const id of ids) {
    const query = 'query ($id: ID!) { execution(id: $id) { status } }';
    const { data } = await gateway.graphql<{ execution: { status: string } }>(query, { id });
    found.push(data?.execution.status);
  }
  return found;
}

describe('kill -9 of each gateway in turn', () => {
  it('contexts and commands go on at another gateway, each with its own counter', async () => {
    const users = [1, 2, 3, 4].map((n) => `${user} ${n}`);
    const counters: Counter[] = [];
    for (const each of users) {
      counters.push({ user: each, contextId: null, tag: `${each} default` });
      for (const name of ['a', 'b'])
        counters.push({
          user: each,
          contextId: (await createContext(gateway, each, { name })).id,
          tag: `${each} ${name}`,
        });
    }
    const restarted = await Promise.all(
      users.map(async (each) => (await createContext(gateway, each, { name: 'restarted' })).id),
    );
    let isOver = false;
    const { count, countInShell, commandsThatRan, moveFiles, restartOften } = contextLoad(gateways);
    const commands = users.flatMap((each) => COMMANDS.map((number) => ({ user: each, number })));
    const counting = Promise.all([...counters.map(count), ...commands.map(countInShell)]);
    const beside = Promise.all(
      users.flatMap((each, n) => [
        moveFiles(each, () => isOver),
        restartOften(each, restarted[n] ?? '', () => isOver),
      ]),
    );
    for (const each of [...gateways, ...gateways]) {
      await delay(1_500);
      await each.kill('SIGKILL');
      await each.restart();
    }
    await counting.finally(() => {
      isOver = true;
    });
    await beside;
    for (const each of users) {
      expect(await commandsThatRan(each)).toEqual(COMMANDS.map((n) => `${each} command ${n}`));
      expect((await contextsOf(gateway, each)).map(({ name, status }) => [name, status])).toEqual([
        [null, 'READY'],
        ['a', 'READY'],
        ['b', 'READY'],
        ['restarted', 'READY'],
      ]);
    }
  });
});
