/**
 * Measures how long a worker takes from the request to the engine until its socket accepts connections, which is when
 * its kernel has answered. The baseline is a stock kernel in a container of the same image, until it is in the same
 * state: it answers, and has imported numpy, pandas and matplotlib.
 */
import { startAgent } from '../testkit/agentServer.ts';
import { workerImage } from '../testkit/workerImage.ts';
import type { Bench } from './suite/bench.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { startStockKernel, USUAL_IMPORTS } from './support/stockKernel.ts';

/** Each turn takes seconds. The first turns still read files from the disk. */
const TURNS = { samples: 20, warmUp: 2 };
const SHORT_TURNS = { samples: 5, warmUp: 1 };

export const workerBench: Bench = {
  name: 'worker',
  about: 'from the request to the engine until a worker is ready, beside a stock kernel',
  isInBareRun: true,
  run: async ({ isShort }) => {
    const [base, measured] = await takeTurns(
      [
        { name: 'stock kernel, imports done', roundTrip: () => timeOf(startStock) },
        { name: 'worker', roundTrip: () => timeOf(startAgent) },
      ],
      isShort ? SHORT_TURNS : TURNS,
    );
    return { comparisons: [{ name: 'ready', unit: 'ms', base, measured }], figures: [] };
  },
};

async function startStock(): Promise<{ close(): Promise<void> }> {
  const stock = await startStockKernel(workerImage());
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
