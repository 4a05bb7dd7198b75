/** A worker's kernels, from one to the next: with its fork server killed, on full disks, and among processes that multiply. */
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AgentHttp, createAgentHttp } from '../../src/kernel/calls/agentHttp.ts';
import { createKernelRunner, type KernelRunner, textOf } from '../../testkit/kernelRunner.ts';
import { startAgent } from '../../testkit/kernelServers.ts';
import { until } from '../../testkit/until.ts';

let agent: Awaited<ReturnType<typeof startAgent>>;
let runner: KernelRunner;
let http: AgentHttp;
const ending = new AbortController();

beforeAll(async () => {
  agent = await startAgent();
  runner = createKernelRunner(agent.target);
  http = createAgentHttp({ target: agent.target, epoch: 1, signal: ending.signal });
});
afterAll(async () => {
  ending.abort();
  await runner?.close();
  await agent?.close();
});

const restart = () => http.restart(randomUUID());

async function run(code: string): Promise<string> {
  const ran = await runner.run(code);
  expect(ran.outcome).toMatchObject({ status: 'OK' });
  expect(textOf(ran, 'stderr')).toBe('');
  return textOf(ran).trim();
}

/** A forked kernel has the command line of what it was forked from. */
const isForked = async () =>
  (await run('print(open("/proc/self/cmdline").read())')).includes('fork_server');

/** As root of the container: fork servers are the agent's, whose user nobody else is. Kills them if asked; prints which. */
async function forkServers(isKilled = false): Promise<string[]> {
  const code = `
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        command = open(f"/proc/{pid}/cmdline").read()
        is_agents = "Uid:\\t64001" in open(f"/proc/{pid}/status").read()
    except OSError:
        continue
    if "fork_server" in command and is_agents:
        print(pid)
        if ${isKilled ? 'True' : 'False'}:
            os.kill(int(pid), signal.SIGKILL)
`;
  const container = new Docker().getContainer(agent.containerId);
  const exec = await container.exec({
    Cmd: ['python3', '-I', '-c', code],
    AttachStdout: true,
    AttachStderr: true,
    // Its output is not framed then.
    Tty: true,
  });
  return (await text(await exec.start({ Tty: true }))).split(/\s+/).filter(Boolean);
}

it('goes on when its fork server is killed, starts the next kernel without one, and raises another', async () => {
  expect(await isForked()).toBe(true);
  await run('kept = 1');
  const [first] = await forkServers(true);
  expect(first).toBeDefined();
  expect(await run('print(kept)')).toBe('1');
  await restart();
  expect(await isForked()).toBe(false);
  await until('another fork server', async () => {
    const [another] = await forkServers();
    return another !== undefined && another !== first;
  });
  await until('a forked kernel', async () => {
    await restart();
    return await isForked();
  });
});

it('tells truly how a kernel ended whose fork server is gone', async () => {
  await forkServers(true);
  const { outcome } = await runner.run('import os, signal; os.kill(os.getpid(), signal.SIGKILL)');
  expect(outcome).toMatchObject({
    status: 'ERROR',
    errorName: 'KernelDied',
    errorValue: 'The kernel ended',
    exitCode: null,
    stateLost: true,
  });
  expect(await run('print(1)')).toBe('1');
});

it('is replaced with every disk full, and draws without a word', async () => {
  const fill = `
import os
for folder in ("/tmp", "/workspace", "/dev/shm"):
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
  await run('!rm -f /tmp/full-* /workspace/full-* /dev/shm/full-*');
});

it('is replaced while processes of its user multiply up to the limit and ignore every signal they can', async () => {
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
    // Init, agent, fork server, kernel.
    '4',
  );
});
