/** What code in one context can do to the kernels of its siblings, which run as the same user, and what it cannot. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import {
  contextsOf,
  createContext,
  execute,
  follow,
  printed,
  submit,
} from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';

const LONG = { timeoutMs: 120_000 };

let gateway: TestGateway;
let user: string;
beforeAll(async () => {
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
});
afterAll(() => gateway.destroy());
beforeEach(({ task }) => {
  user = task.name;
});

const run = (code: string, contextId: string | null = null) =>
  execute(gateway, user, code, { contextId });
const three = async () => {
  const made = [];
  for (const name of ['a', 'b', 'c']) made.push((await createContext(gateway, user, { name })).id);
  return made as [string, string, string];
};

describe('hostile code in one context', () => {
  it('that kills all other processes of its user gives the other contexts fresh kernels, and ends their executions', async () => {
    const [a, b] = await three();
    await run('n = 1');
    const victim = await submit(gateway, user, "print('on')\nimport time\ntime.sleep(100)", {
      ...LONG,
      contextId: b,
    });
    await printed(gateway.socket(), victim.id, 1);
    const worker = await workerOf();
    // Linux spares the process that calls kill(-1).
    expect(await run('import os; os.kill(-1, 9)', a)).toMatchObject({ status: 'OK' });
    const outputs = await follow(gateway.socket(), victim.id);
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'ERROR', stateLost: true } });
    // The agent and its worker live, and every context has a kernel again.
    await until('fresh kernels in all other contexts', async () => {
      const restarts = (await contextsOf(gateway, user)).map((each) => each.kernelRestarts);
      return restarts.join() === '1,0,1,1';
    });
    for (const id of [null, a, b])
      expect(await run('1', id)).toMatchObject({
        status: 'OK',
        resultText: '1',
        stateLost: id !== a,
      });
    expect(await workerOf()).toBe(worker);
  });

  it('that suspends the kernel of another context affects only that context, and its execution ends at its limit', async () => {
    const [a, b, c] = await three();
    const pid = (await run('import os; os.getpid()', b)).resultText;
    const victim = await submit(gateway, user, "print('on')\nimport time\ntime.sleep(100)", {
      timeoutMs: 3_000,
      contextId: b,
    });
    await printed(gateway.socket(), victim.id, 1);
    await run(`import os, signal; os.kill(${pid}, signal.SIGSTOP)`, a);
    const outputs = await follow(gateway.socket(), victim.id);
    expect(outputs.at(-1)).toMatchObject({ execution: { status: 'TIMEOUT' } });
    for (const id of [a, c]) expect(await run('1', id)).toMatchObject({ stateLost: false });
    expect(await run('1', b)).toMatchObject({ status: 'OK' });
  });
});

async function workerOf(): Promise<string | undefined> {
  const query = 'query ($user: String!) { session(userUuid: $user) { worker { id } } }';
  const { data } = await gateway.graphql<{ session: { worker: { id: string } } }>(query, { user });
  return data?.session.worker.id;
}
