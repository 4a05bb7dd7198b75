/** Beside busy neighbours, code that heeds interrupts keeps its kernel, and code that does not gets no extra time. */
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AgentServer, startAgent } from '../../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner, textOf } from '../../testkit/kernelRunner.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { EXTENT } from '../extent.ts';

/** All containers of this test share one CPU, so that other tests keep the rest. */
const CPU = '0';
const BUSY_PROCESSES = 8;
const SHARES_OF_EACH = 1_024;
/** Beside these neighbours, a twentieth of the CPU. */
const KERNEL_SHARES = 400;
const LIMIT_MS = 1_000;
/** Code that heeds interrupts always ends within this time. */
const LONG_GRACE_MS = 60_000;
/** The agent's longest wait, in multiples of the grace: MAX_STRETCH of the agent's processes/grace.py. */
const MAX_STRETCH = 10;
/** Time to notice the end, end the kernel and report it, with so little CPU. */
const ENDING_MS = 10_000;
/** The machine's other work changes how long cells take to end. So a grace is taken from several of them. */
const RECENT_CELLS = 10;
/** Far more than a cell can take. */
const MAX_CELL_MS = 30_000;

const docker = new Docker();
let agent: AgentServer;
let runner: KernelRunner;
let neighbours: Docker.Container;

beforeAll(async () => {
  agent = await startAgent();
  runner = createKernelRunner(agent.address);
  const loops = Array.from({ length: BUSY_PROCESSES }, () => 'while :; do :; done &').join(' ');
  neighbours = await docker.createContainer({
    Image: workerImage(),
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

/** Runs code until it has been interrupted at its limit and has ended; also tells how long it took beyond the limit. */
async function interrupted(code: string, graceMs: number, timeoutMs = LIMIT_MS) {
  const startedAt = performance.now();
  const { outcome } = await runner.run(code, { timeoutMs, graceMs });
  return { ...outcome, endedInMs: performance.now() - startedAt - timeoutMs };
}

const cell = (number: number) => `try: time.sleep(60)\nfinally: ended.append(${number})`;

/** How long cells take to end just now. @param cells how many are run */
async function timesToEnd(cells: number): Promise<number[]> {
  await runner.run('import signal, time\nended = []');
  // A kernel takes four times as long to show its first error as to show later errors.
  await interrupted(cell(0), LONG_GRACE_MS);
  const times: number[] = [];
  while (times.length < cells) times.push((await interrupted(cell(0), LONG_GRACE_MS)).endedInMs);
  return times;
}

it(
  'cells that end when they are interrupted keep the variables',
  async () => {
    const times = await timesToEnd(Math.min(RECENT_CELLS, EXTENT.interruptedCells));
    await runner.run('ended = []\nkept = "kept"');
    for (let number = 0; number < EXTENT.interruptedCells; number += 1) {
      // Half the time that the slowest recent cell needed. The cell still ends in time, because the time in which the
      // kernel waits for a CPU does not count, up to MAX_STRETCH.
      const graceMs = Math.ceil(Math.max(...times.slice(-RECENT_CELLS)) / 2);
      const outcome = await interrupted(cell(number), graceMs);
      expect(outcome).toMatchObject({ status: 'TIMEOUT', stateLost: false });
      times.push(outcome.endedInMs);
    }
    const last = await runner.run('print(kept, ended == sorted(set(ended)))');
    expect(textOf(last)).toBe('kept True\n');
  },
  (EXTENT.interruptedCells + RECENT_CELLS + 2) * MAX_CELL_MS,
);

it.each([
  {
    how: 'computes',
    code: 'while True:\n  try:\n    while True: pass\n  except KeyboardInterrupt: pass',
    graceMs: 100,
    lastsMs: MAX_STRETCH * 100,
  },
  {
    how: 'sleeps, so that it never waits for a CPU,',
    code: 'signal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)',
    graceMs: 3_000,
    lastsMs: 3_000,
  },
])('code that ignores interrupts and $how loses its kernel', async ({ code, graceMs, lastsMs }) => {
  // An interrupt before the first line would end the code. So the limit leaves the code time to begin, which takes
  // no longer than ending does.
  const [endedInMs = 0] = await timesToEnd(1);
  const limitMs = LIMIT_MS + Math.ceil(2 * endedInMs);
  const outcome = await interrupted(code, graceMs, limitMs);
  expect(outcome).toMatchObject({ status: 'TIMEOUT', stateLost: true });
  expect(outcome.endedInMs).toBeLessThan(lastsMs + ENDING_MS);
});
