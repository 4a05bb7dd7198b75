/**
 * Measures how long a user is without a kernel, until the next code has answered through the worker's agent and its
 * channel. The time starts at one of three moments: when the user asks for a restart; when a runaway loop, which the
 * interrupt ends, reaches its time limit; or, for a loop that ignores the interrupt, when the limit and the grace time
 * are over and its kernel is replaced. The baseline is a stock kernel that its own manager restarts.
 */
import { randomUUID } from 'node:crypto';
import { createAgentCalls } from '../src/kernel/agent/createAgentCalls.ts';
import { startAgent } from '../testkit/agentServer.ts';
import { createKernelRunner, type KernelRunner } from '../testkit/kernelRunner.ts';
import { workerImage } from '../testkit/workerImage.ts';
import type { Bench, Samples } from './suite/bench.ts';
import { percentilesOf } from './suite/statistics.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { startStockKernel } from './support/stockKernel.ts';

/** Each turn takes seconds. */
const TURNS = { samples: 30, warmUp: 2 };
const SHORT_TURNS = { samples: 12, warmUp: 1 };
/** Long enough for the loop to start even on a busy machine. */
const TIMEOUT_MS = 1_000;
/** The default grace time for code that reacts to the interrupt, and a short one for code that ignores it. */
const LIMITS = { timeoutMs: TIMEOUT_MS, graceMs: 1_000 };
const STUBBORN_LIMITS = { timeoutMs: TIMEOUT_MS, graceMs: 100 };
/** Highest median from the time limit of a runaway loop to the next answer. */
const TARGET_MS = 200;
const LOOP = 'while True: pass';
/** Code that ends only with its kernel. */
const STUBBORN = `
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
`;

export const restartBench: Bench = {
  name: 'restart',
  about: 'from asking for a fresh kernel, or from when a runaway loop must end, to the next answer',
  isInBareRun: true,
  run: async ({ isShort }) => {
    const [base, byUser, ofStubborn, ofLoop] = await measure(isShort);
    return {
      comparisons: [
        { name: 'by the user', unit: 'ms', base, measured: byUser },
        { name: 'after limit and grace of a loop', unit: 'ms', base, measured: ofStubborn },
      ],
      figures: [
        {
          name: 'from the limit of a runaway loop, p50',
          unit: 'ms',
          value: percentilesOf(ofLoop.values).p50,
          target: { atMost: TARGET_MS },
        },
      ],
    };
  },
};

async function measure(isShort: boolean): Promise<readonly [Samples, Samples, Samples, Samples]> {
  const agent = await startAgent();
  const runner = createKernelRunner(agent.address);
  const ending = new AbortController();
  const call = createAgentCalls({ address: agent.address, epoch: 1, signal: ending.signal });
  const stock = await startStockKernel(workerImage());
  const byUser = async (): Promise<number> => {
    const askedAt = performance.now();
    await call('restart', { requestId: randomUUID() });
    await answer(runner);
    return performance.now() - askedAt;
  };
  try {
    return await takeTurns(
      [
        { name: 'stock kernel, by its own manager', roundTrip: () => stock.restart() },
        { name: 'worker, asked', roundTrip: byUser },
        { name: 'worker, loop that takes no notice', roundTrip: () => afterStubborn(runner) },
        { name: 'worker, loop', roundTrip: () => afterLoop(runner) },
      ],
      isShort ? SHORT_TURNS : TURNS,
    );
  } finally {
    ending.abort();
    await stock.close();
    await runner.close();
    await agent.close();
  }
}

async function afterLoop(runner: KernelRunner): Promise<number> {
  const { outcome } = await runner.run(LOOP, LIMITS);
  await answer(runner);
  const answeredAt = Date.now();
  if (outcome.status !== 'TIMEOUT' || outcome.stateLost || outcome.startedAt === null)
    throw new Error(JSON.stringify(outcome));
  return answeredAt - (outcome.startedAt + TIMEOUT_MS);
}

async function afterStubborn(runner: KernelRunner): Promise<number> {
  const { outcome } = await runner.run(STUBBORN, STUBBORN_LIMITS);
  await answer(runner);
  const answeredAt = Date.now();
  if (outcome.status !== 'TIMEOUT' || !outcome.stateLost || outcome.startedAt === null)
    throw new Error(JSON.stringify(outcome));
  // Both times are from this machine's clock.
  return answeredAt - (outcome.startedAt + TIMEOUT_MS + STUBBORN_LIMITS.graceMs);
}

async function answer(runner: KernelRunner): Promise<void> {
  const { outcome } = await runner.run('1+1');
  if (outcome.status !== 'OK') throw new Error(JSON.stringify(outcome));
}
