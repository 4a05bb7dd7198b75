/**
 * What the suite says of `execute` is true: a client that shares nothing with it finds the same ratio. Both call one gateway
 * at the same time, each in turns with a stock kernel of its own, so that whatever else the machine does bears on both.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { contenderAt, startStock } from '../../bench/execute/contenders.ts';
import { ratioOf } from '../../bench/suite/statistics.ts';
import { type Contender, takeTurns } from '../../bench/suite/takeTurns.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';

const CLIENT = new URL('../../bench/independentClient.mjs', import.meta.url).pathname;
const CLIENT_TURNS = '300';
const WARM_UP = { samples: 0, warmUp: 50 };
/** Between two looks whether the client has ended. */
const CHUNK = { samples: 5, warmUp: 0 };
/** A tenth is for a quiet machine and the full form (bench/README.md). */
const MAX_TIMES_APART = 1.25;
const LIMIT_MS = 300_000;

it(
  'a client that is no part of the suite finds the same ratio',
  async () => {
    const gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
    const stock = await startStock();
    try {
      const contenders = [stock, contenderAt(gateway)] as const;
      await takeTurns(contenders, WARM_UP);
      const client = startClient(gateway);
      // It is warm now.
      await client.next();
      const answer = client.next();
      const suite = await ratioBySuite(contenders, answer);
      const found = Number(/ratio ([\d.]+)/.exec((await answer).value)?.[1]);
      const apart = Math.max(suite / found, found / suite);
      expect(apart, `${suite} by the suite, ${found} by the client`).toBeLessThan(MAX_TIMES_APART);
    } finally {
      await stock.close();
      await gateway.destroy();
    }
  },
  LIMIT_MS,
);

/** Of all turns until `end`. */
async function ratioBySuite(
  contenders: readonly [Contender, Contender],
  end: Promise<unknown>,
): Promise<number> {
  let isOver = false;
  const ended = end.finally(() => {
    isOver = true;
  });
  const base: number[] = [];
  const measured: number[] = [];
  while (!isOver) {
    const [ofStock, ofExecute] = await takeTurns(contenders, CHUNK);
    base.push(...ofStock.values);
    measured.push(...ofExecute.values);
  }
  await ended;
  return ratioOf({ name: 'stock', values: base }, { name: 'execute', values: measured }).p50;
}

/** What it prints, line by line. */
function startClient({ url, token }: TestGateway): AsyncIterator<string> {
  const args = [CLIENT, url, 'independent', process.env.WORKER_IMAGE ?? '', CLIENT_TURNS];
  const env = { ...process.env, AUTH_TOKEN: token };
  const { stdout } = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  return createInterface({ input: stdout })[Symbol.asyncIterator]();
}
