/**
 * How long a user is without a kernel when it is replaced, from asking for it (or from when a runaway loop must end: its
 * limit and the grace time are over) until the next code has answered. Beside a stock kernel that its own manager
 * restarts. All take turns in one run.
 */
import { randomUUID } from 'node:crypto';
import { createAgentHttp } from '../src/kernel/agentHttp.ts';
import { createKernelRunner } from '../test/support/kernelRunner.ts';
import { startAgent } from '../test/support/kernelServers.ts';
import { printComparison } from './support/printComparison.ts';
import { startStockKernel } from './support/stockKernel.ts';
import { workerImage } from './support/workerImage.ts';

const SAMPLES = 50;
/** Left out: caches are still warming up. */
const WARM_UP = 3;
/** Long enough for the loop to have begun on a busy machine: before that, the interrupt would end it. */
const LIMITS = { timeoutMs: 1_000, graceMs: 100 };
const ENDLESS = `
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
`;

const agent = await startAgent();
const runner = createKernelRunner(agent.target);
const ending = new AbortController();
const http = createAgentHttp({ target: agent.target, epoch: 1, signal: ending.signal });
const stock = await startStockKernel(workerImage());
try {
  const samples = { stock: [] as number[], user: [] as number[], runaway: [] as number[] };
  for (let turn = 0; turn < WARM_UP + SAMPLES; turn += 1) {
    const inStock = await stock.restart();
    const byUser = await restartByUser();
    const ofRunaway = await restartOfRunaway();
    if (turn < WARM_UP) continue;
    samples.stock.push(inStock);
    samples.user.push(byUser);
    samples.runaway.push(ofRunaway);
  }
  const base = { name: 'stock kernel, by its own manager', values: samples.stock };
  printComparison('restart by the user, ms', base, { name: 'worker', values: samples.user });
  printComparison('after a runaway loop, ms', base, { name: 'worker', values: samples.runaway });
} finally {
  ending.abort();
  await stock.close();
  await runner.close();
  await agent.close();
}

async function restartByUser(): Promise<number> {
  const askedAt = performance.now();
  await http.restart(randomUUID());
  await answer();
  return performance.now() - askedAt;
}

async function restartOfRunaway(): Promise<number> {
  const { outcome } = await runner.run(ENDLESS, LIMITS);
  await answer();
  const answeredAt = Date.now();
  if (outcome.status !== 'TIMEOUT' || !outcome.stateLost || outcome.startedAt === null)
    throw new Error(JSON.stringify(outcome));
  // Both clocks are this machine's.
  return answeredAt - (outcome.startedAt + LIMITS.timeoutMs + LIMITS.graceMs);
}

async function answer(): Promise<void> {
  const { outcome } = await runner.run('1+1');
  if (outcome.status !== 'OK') throw new Error(JSON.stringify(outcome));
}
