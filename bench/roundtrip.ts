/**
 * What the agent and the channel cost: `1+1` from sending the request until its reply has come, over the WebSocket on the
 * worker's socket, beside a stock ipykernel's own round trip in the same image. Both take turns in one run, so that a
 * busy machine slows both alike.
 */
import { createKernelRunner } from '../test/support/kernelRunner.ts';
import { startAgent } from '../test/support/kernelServers.ts';
import { printComparison } from './support/printComparison.ts';
import { startStockKernel } from './support/stockKernel.ts';
import { workerImage } from './support/workerImage.ts';

const CODE = '1+1';
const RESULT = '2';
const SAMPLES = 400;
/** Left out: compilers and caches are still warming up. */
const WARM_UP = 100;

const agent = await startAgent();
const runner = createKernelRunner(agent.target);
const stock = await startStockKernel(workerImage());
try {
  const stockMs: number[] = [];
  const agentMs: number[] = [];
  for (let turn = 0; turn < WARM_UP + SAMPLES; turn += 1) {
    const inStock = await stock.roundTrip(CODE);
    const inAgent = await roundTrip();
    if (turn < WARM_UP) continue;
    stockMs.push(inStock);
    agentMs.push(inAgent);
  }
  printComparison(
    `${CODE}, ms`,
    { name: "stock ipykernel's own round trip", values: stockMs },
    { name: 'through the agent and its channel', values: agentMs },
  );
} finally {
  await stock.close();
  await runner.close();
  await agent.close();
}

async function roundTrip(): Promise<number> {
  const startedAt = performance.now();
  const { outcome, outputs } = await runner.run(CODE);
  const tookMs = performance.now() - startedAt;
  const [result] = outputs;
  if (outcome.status !== 'OK' || result?.kind !== 'result' || result.data['text/plain'] !== RESULT)
    throw new Error(JSON.stringify({ outcome, outputs }));
  return tookMs;
}
