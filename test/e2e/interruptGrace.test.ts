/** Beside busy neighbours, code that heeds interrupts keeps its kernel, and code that does not gets no extra time. */
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKernelRunner, type KernelRunner, textOf } from '../../testkit/kernelRunner.ts';
import { type AgentServer, startAgent } from '../../testkit/kernelServers.ts';
import { EXTENT } from '../extent.ts';

/** Everything runs on one CPU, so that the others remain free. */
const CPU = '0';
const BUSY_PROCESSES = 8;
const SHARES_OF_EACH = 1_024;
/** A twentieth of the CPU. Ending a cell takes some 10 ms of CPU time, so about twice the grace. */
const KERNEL_SHARES = 400;
const LIMITS = { timeoutMs: 1_000, graceMs: 100 };
/** The agent's longest wait, in multiples of the grace (worker-image/agent/cellhouse_agent/grace.py). */
const MAX_STRETCH = 10;
/** Time to notice the end, end the kernel and report it, with so little CPU. */
const ENDING_MS = 3_000;
/** By then a fresh kernel has begun the code: everything before its first line heeds interrupts. */
const BEGUN_WITHIN_MS = 3_000;
/** Far more than a cell can take. */
const MAX_CELL_MS = 30_000;

const docker = new Docker();
let agent: AgentServer;
let runner: KernelRunner;
let neighbours: Docker.Container;

beforeAll(async () => {
  agent = await startAgent();
  runner = createKernelRunner(agent.target);
  await runner.run('import signal, time\nended = []');
  // A kernel takes four times as long to show its first error as later ones.
  await runner.run('time.sleep(60)', { timeoutMs: 100 });
  const loops = Array.from({ length: BUSY_PROCESSES }, () => 'while :; do :; done &').join(' ');
  neighbours = await docker.createContainer({
    Image: process.env.WORKER_IMAGE ?? '',
    Entrypoint: ['sh', '-c', `${loops} wait`],
    Labels: { 'cellhouse.test': 'neighbours' },
    HostConfig: {
      NetworkMode: 'none',
      AutoRemove: true,
      CpusetCpus: CPU,
      CpuShares: BUSY_PROCESSES * SHARES_OF_EACH,
    },
  });
  const own = docker.getContainer(agent.containerId);
  await own.update({ CpusetCpus: CPU, CpuShares: KERNEL_SHARES });
  await neighbours.start();
});
afterAll(async () => {
  await neighbours?.remove({ force: true });
  await runner?.close();
  await agent?.close();
});

it(
  'cells that end when they are interrupted keep the variables',
  async () => {
    for (let cell = 0; cell < EXTENT.interruptedCells; cell += 1) {
      const code = `try: time.sleep(60)\nfinally: ended.append(${cell})`;
      const { outcome } = await runner.run(code, LIMITS);
      expect(outcome).toMatchObject({ status: 'TIMEOUT', stateLost: false });
    }
    const last = await runner.run('print(ended == list(range(len(ended))), len(ended))');
    expect(textOf(last)).toBe(`True ${EXTENT.interruptedCells}\n`);
  },
  EXTENT.interruptedCells * MAX_CELL_MS,
);

it.each([
  {
    how: 'computes',
    code: 'while True:\n  try:\n    while True: pass\n  except KeyboardInterrupt: pass',
    graceMs: 100,
    endsWithinMs: MAX_STRETCH * 100,
  },
  {
    how: 'sleeps, so waits for no CPU',
    code: 'signal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)',
    graceMs: 2_000,
    endsWithinMs: 2_000,
  },
])('code that is deaf and $how loses its kernel', async ({ code, graceMs, endsWithinMs }) => {
  const startedAt = performance.now();
  const limits = { timeoutMs: BEGUN_WITHIN_MS, graceMs };
  const { outcome } = await runner.run(`import signal, time\n${code}`, limits);
  expect(outcome).toMatchObject({ status: 'TIMEOUT', stateLost: true });
  const tookMs = performance.now() - startedAt;
  expect(tookMs).toBeLessThan(BEGUN_WITHIN_MS + endsWithinMs + ENDING_MS);
});
