/** How a worker replaces its kernel: with its fork server killed, on full disks, and among multiplying processes. */

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WORKER_HOME } from '../../src/domain/worker.ts';
import { type CallAgent, createAgentCalls } from '../../src/kernel/agent/createAgentCalls.ts';
import { startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner, textOf } from '../../testkit/kernelRunner.ts';
import { until } from '../../testkit/until.ts';
import { forkServers } from '../support/forkServers.ts';

let agent: Awaited<ReturnType<typeof startAgent>>;
let runner: KernelRunner;
let call: CallAgent;
const ending = new AbortController();

beforeAll(async () => {
  agent = await startAgent();
  runner = createKernelRunner(agent.address);
  call = createAgentCalls({ address: agent.address, epoch: 1, signal: ending.signal });
});
afterAll(async () => {
  ending.abort();
  await runner?.close();
  await agent?.close();
});

const restart = () => call('restart', { requestId: randomUUID() });

async function run(code: string): Promise<string> {
  const ran = await runner.run(code);
  expect(ran.outcome).toMatchObject({ status: 'OK' });
  expect(textOf(ran, 'stderr')).toBe('');
  return textOf(ran).trim();
}

/** A forked kernel has the command line of its fork server. */
const isForked = async () =>
  (await run('print(open("/proc/self/cmdline").read())')).includes('fork_server');

it('a worker goes on when its fork server is killed, starts the next kernel without one, and then another fork server', async () => {
  expect(await isForked()).toBe(true);
  await run('kept = 1');
  const [first] = await forkServers(agent.containerId, 'kill');
  expect(first).toBeDefined();
  expect(await run('print(kept)')).toBe('1');
  await restart();
  expect(await isForked()).toBe(false);
  await until('another fork server', async () => {
    const [another] = await forkServers(agent.containerId, 'list');
    return another !== undefined && another !== first;
  });
  await until('a forked kernel', async () => {
    await restart();
    return await isForked();
  });
});

it('a worker reports correctly how a kernel without a fork server ended', async () => {
  await forkServers(agent.containerId, 'kill');
  const { outcome } = await runner.run('import os, signal; os.kill(os.getpid(), signal.SIGKILL)');
  expect(outcome).toMatchObject({
    status: 'ERROR',
    errorName: 'KernelDied',
    errorValue: 'The kernel ended by signal 9',
    exitCode: -9,
    stateLost: true,
  });
  expect(await run('print(1)')).toBe('1');
});

it('a kernel can be replaced with every disk full, and draws without warnings', async () => {
  const fill = `
import os
for folder in ("/tmp", "${WORKER_HOME}", "/dev/shm"):
    number = 0
    try:
        while True:
            with open(f"{folder}/full-{number}", "wb", buffering=0) as file:
                number += 1
                while file.write(bytes(65_536)): pass
    except OSError as error:
        print(error.strerror)
`;
  expect(await run(fill)).toMatch(/No space left on device/);
  await restart();
  const ran = await runner.run(
    'import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show(); print("drawn")',
  );
  expect(textOf(ran)).toBe('drawn\n');
  expect(textOf(ran, 'stderr')).toBe('');
  expect(ran.outputs.map(({ kind }) => kind)).toContain('display');
  await run(`!rm -f /tmp/full-* ${WORKER_HOME}/full-* /dev/shm/full-*`);
});

it('a kernel can be replaced while its user’s processes multiply to the limit and ignore signals', async () => {
  const bomb = `
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
`;
  const ran = await runner.run(bomb, { timeoutMs: 500, graceMs: 200 });
  expect(ran.outcome).toMatchObject({ status: 'TIMEOUT', stateLost: true });
  expect(await run('import os; print(len([p for p in os.listdir("/proc") if p.isdigit()]))')).toBe(
    // Only init, agent, helper of files, spawner, fork server, reaper and kernel are left.
    '7',
  );
});
