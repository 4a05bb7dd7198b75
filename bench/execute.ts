/**
 * What an `execute` costs: the whole way of `1+1` through HTTP, the token, GraphQL, durable events and a worker, beside a
 * stock ipykernel's own round trip in the same image. Both take turns in one run, so that a busy machine slows both alike.
 */
import { startTestGateway } from '../test/support/gateway.ts';
import { httpExecute } from './support/httpExecute.ts';
import { printComparison } from './support/printComparison.ts';
import { startStockKernel } from './support/stockKernel.ts';
import { workerImage } from './support/workerImage.ts';

const CODE = '1+1';
const RESULT = '2';
/** Enough for the 95th percentile to rest on twenty samples. */
const SAMPLES = 400;
/** Left out: compilers and caches are still warming up. */
const WARM_UP = 50;

const gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
try {
  const stock = await startStockKernel(workerImage());
  try {
    const execute = httpExecute({ url: gateway.url, token: gateway.token, userUuid: 'bench' });
    const stockMs: number[] = [];
    const executeMs: number[] = [];
    for (let turn = 0; turn < WARM_UP + SAMPLES; turn += 1) {
      const inStock = await stock.roundTrip(CODE);
      const inExecute = await execute(CODE, RESULT);
      if (turn < WARM_UP) continue;
      stockMs.push(inStock);
      executeMs.push(inExecute);
    }
    printComparison(
      `${CODE}, ms`,
      { name: "stock ipykernel's own round trip", values: stockMs },
      { name: 'execute over HTTP, durable', values: executeMs },
    );
  } finally {
    await stock.close();
  }
} finally {
  await gateway.destroy();
}
