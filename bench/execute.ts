/**
 * What an `execute` costs: the whole way of `1+1` through HTTP, the token, GraphQL, durable events and a worker, beside a
 * stock ipykernel's own round trip in the same image. Both take turns in one run, so that a busy machine slows both alike.
 */
import { cpus } from 'node:os';
import { startTestGateway } from '../test/support/gateway.ts';
import { httpExecute } from './support/httpExecute.ts';
import { percentile } from './support/percentile.ts';
import { startStockKernel } from './support/stockKernel.ts';

const CODE = '1+1';
const RESULT = '2';
/** Enough for the 95th percentile to rest on twenty samples. */
const SAMPLES = 400;
/** Left out: compilers and caches are still warming up. */
const WARM_UP = 50;

const workerImage = process.env.WORKER_IMAGE;
if (!workerImage) throw new Error('WORKER_IMAGE is not set. npm run bench sets it.');

const gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
try {
  const stock = await startStockKernel(workerImage);
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
    print(stockMs, executeMs);
  } finally {
    await stock.close();
  }
} finally {
  await gateway.destroy();
}

function print(stockMs: readonly number[], executeMs: readonly number[]): void {
  const row = (name: string, values: readonly number[], unit = '') =>
    console.log(
      name.padEnd(36) + values.map((value) => (value.toFixed(2) + unit).padStart(10)).join(''),
    );
  const [stock, execute] = [stockMs, executeMs].map((samples) =>
    [50, 95].map((percent) => percentile(samples, percent)),
  );
  console.log(
    `\n${CODE}, ms`.padEnd(37) + ['p50', 'p95'].map((name) => name.padStart(10)).join(''),
  );
  row("stock ipykernel's own round trip", stock ?? []);
  row('execute over HTTP, durable', execute ?? []);
  row('ratio', execute?.map((value, index) => value / (stock?.[index] ?? Number.NaN)) ?? [], 'x');
  console.log(
    `${SAMPLES} samples each in turns, after ${WARM_UP} to warm up; ${cpus().length} CPUs, Node ${process.version}`,
  );
}
