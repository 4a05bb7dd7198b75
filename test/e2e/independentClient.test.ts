/**
 * What the suite says of `execute` is true: a client that shares nothing with it finds the same ratio. They take turns on one
 * gateway, a round each, so that whatever else the machine does bears on both.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { contenderAt, startStock } from '../../bench/execute/contenders.ts';
import { ratioOf } from '../../bench/suite/statistics.ts';
import { takeTurns } from '../../bench/suite/takeTurns.ts';
import { percentile } from '../../bench/support/percentile.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';

const CLIENT = new URL('../../bench/independentClient.mjs', import.meta.url).pathname;
/** Each has its quotient, and their median is judged: a burst of other work covers some of them. */
const ROUNDS = 9;
const TURNS = { samples: 60, warmUp: 50 };
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
      const rounds: { readonly suite: number; readonly client: number }[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const suite = ratioOf(...(await takeTurns(contenders, TURNS))).p50;
        rounds.push({ suite, client: await ratioByClient(gateway) });
      }
      const quotients = rounds.map(({ suite, client }) => client / suite);
      const apart = percentile(quotients, 50);
      expect(Math.max(apart, 1 / apart), JSON.stringify(rounds)).toBeLessThan(MAX_TIMES_APART);
    } finally {
      await stock.close();
      await gateway.destroy();
    }
  },
  LIMIT_MS,
);

async function ratioByClient({ url, token }: TestGateway): Promise<number> {
  const image = process.env.WORKER_IMAGE ?? '';
  const args = [CLIENT, url, 'independent', image, String(TURNS.samples)];
  const env = { ...process.env, AUTH_TOKEN: token };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return Number(/ratio ([\d.]+)/.exec(stdout)?.[1]);
}
