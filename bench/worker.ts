/**
 * How long a worker takes from the request to the engine until its socket accepts, which it does when its kernel has
 * answered; beside a stock kernel in a container of the same image until it has what a worker's kernel has by then: it
 * answers, and numpy, pandas and matplotlib are imported. Both take turns in one run.
 */
import { startAgent } from '../test/support/kernelServers.ts';
import { printComparison } from './support/printComparison.ts';
import { startStockKernel } from './support/stockKernel.ts';
import { USUAL_IMPORTS } from './support/usualImports.ts';
import { workerImage } from './support/workerImage.ts';

const SAMPLES = 20;
/** Left out: files are still read from the disk. */
const WARM_UP = 2;

const image = workerImage();
const stockMs: number[] = [];
const workerMs: number[] = [];
for (let turn = 0; turn < WARM_UP + SAMPLES; turn += 1) {
  const inStock = await timeOf(() => startStock());
  const inWorker = await timeOf(() => startAgent());
  if (turn < WARM_UP) continue;
  stockMs.push(inStock);
  workerMs.push(inWorker);
}
printComparison(
  'ready, ms',
  { name: 'stock kernel, imports done', values: stockMs },
  { name: 'worker', values: workerMs },
);

async function startStock(): Promise<{ close(): Promise<void> }> {
  const stock = await startStockKernel(image);
  await stock.roundTrip(USUAL_IMPORTS);
  return stock;
}

async function timeOf(start: () => Promise<{ close(): Promise<void> }>): Promise<number> {
  const startedAt = performance.now();
  const started = await start();
  const tookMs = performance.now() - startedAt;
  await started.close();
  return tookMs;
}
