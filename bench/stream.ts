/**
 * How fast output arrives: 10 MB of prints, in lines of 100 bytes and in one print, from sending the request until the
 * last of it and the reply have come, through the agent and its channel, beside a stock ipykernel's own client in the same
 * image. Nothing may be missing. Both take turns in one run, so that a busy machine slows both alike.
 */
import { createKernelRunner, textOf } from '../test/support/kernelRunner.ts';
import { startAgent } from '../test/support/kernelServers.ts';
import { printComparison } from './support/printComparison.ts';
import { startStockKernel } from './support/stockKernel.ts';
import { workerImage } from './support/workerImage.ts';

const CHARACTERS = 10_000_000;
const CASES = [
  ['lines of 100 bytes', 'for _ in range(100_000): print("x" * 99)'],
  ['one print', 'print("x" * 9_999_999)'],
] as const;
const SAMPLES = 15;
/** Left out: compilers and caches are still warming up. */
const WARM_UP = 3;

const agent = await startAgent();
const runner = createKernelRunner(agent.target);
const stock = await startStockKernel(workerImage());
try {
  for (const [name, code] of CASES) {
    const stockMs: number[] = [];
    const agentMs: number[] = [];
    for (let turn = 0; turn < WARM_UP + SAMPLES; turn += 1) {
      const inStock = await inStockKernel(code);
      const inAgent = await throughAgent(code);
      if (turn < WARM_UP) continue;
      stockMs.push(inStock);
      agentMs.push(inAgent);
    }
    printComparison(
      `10 MB in ${name}, ms`,
      { name: "stock ipykernel's own client", values: stockMs },
      { name: 'through the agent and its channel', values: agentMs },
    );
  }
} finally {
  await stock.close();
  await runner.close();
  await agent.close();
}

async function inStockKernel(code: string): Promise<number> {
  const { ms, printedCharacters } = await stock.run(code);
  if (printedCharacters !== CHARACTERS) throw new Error(`${printedCharacters} characters came.`);
  return ms;
}

async function throughAgent(code: string): Promise<number> {
  const startedAt = performance.now();
  const ran = await runner.run(code);
  const tookMs = performance.now() - startedAt;
  const came = textOf(ran).length;
  if (came !== CHARACTERS)
    throw new Error(`${came} characters came: ${JSON.stringify(ran.outcome)}`);
  return tookMs;
}
