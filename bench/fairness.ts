/**
 * Measures how much ten users who print endlessly slow down an eleventh user: `1+1` while they print, and without them.
 * Both cases take turns in one run, so that a busy machine slows both alike. The bench also records the gateway's
 * memory while the ten users print.
 *
 * `npm run bench -- fairness [--users N] [--rounds N]`
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startFlood } from '../testkit/flood.ts';
import { startTestGateway, type TestGateway } from '../testkit/gateway.ts';
import { processMemory } from '../testkit/processMemory.ts';
import type { Bench, BenchResult, BenchRun } from './suite/bench.ts';
import { percentile } from './suite/statistics.ts';
import { httpExecute } from './support/httpExecute.ts';

/** Samples of each case in each round. Over all rounds, some twenty of them are above the 95th percentile. */
const SAMPLES = 80;
/** The first samples are left out, because compilers and caches are still warming up. */
const WARM_UP = 50;
/** Time until all users print at full speed. */
const IN_FULL_FLOW_MS = 1_000;

export const fairnessBench: Bench = {
  name: 'fairness',
  about: '1+1 of one user beside ten who print without end, and without them',
  isInBareRun: false,
  run: async ({ isShort, args, say }) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        users: { type: 'string', default: '10' },
        rounds: { type: 'string', default: isShort ? '2' : '6' },
      },
    });
    const users = Number(values.users);
    const settings = { LOG_LEVEL: 'warn', MAX_TOTAL_WORKERS: String(users + 3) };
    const gateway = await startTestGateway(settings);
    try {
      return await measure(gateway, { users, rounds: Number(values.rounds), say });
    } finally {
      await gateway.destroy();
    }
  },
};

interface Extent extends Pick<BenchRun, 'say'> {
  readonly users: number;
  readonly rounds: number;
}

async function measure(gateway: TestGateway, { users, rounds, say }: Extent): Promise<BenchResult> {
  const execute = httpExecute({ url: gateway.url, token: gateway.token, userUuid: 'quiet' });
  await samples(execute, WARM_UP);
  const quietMs: number[] = [];
  const floodMs: number[] = [];
  const residentMib: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    quietMs.push(...(await samples(execute, SAMPLES)));
    const flood = await startFlood(gateway, users);
    await delay(IN_FULL_FLOW_MS);
    floodMs.push(...(await samples(execute, SAMPLES)));
    residentMib.push(processMemory(gateway.pid, 'VmRSS'));
    await flood.stop();
    say(
      `round ${round + 1}: p95 ${p95(quietMs, -SAMPLES)} ms quiet, ${p95(floodMs, -SAMPLES)} ms beside the flood`,
    );
  }
  const base = { name: 'alone', values: quietMs };
  const measured = { name: `beside ${users} who print`, values: floodMs };
  const figures = residentMib.map((value, round) => ({
    name: `the gateway's memory after round ${round + 1}`,
    unit: 'MiB',
    value,
  }));
  return { comparisons: [{ name: '1+1 of one user', unit: 'ms', base, measured }], figures };
}

async function samples(execute: ReturnType<typeof httpExecute>, count: number): Promise<number[]> {
  const tookMs: number[] = [];
  for (let turn = 0; turn < count; turn += 1) tookMs.push(await execute('1+1', '2'));
  return tookMs;
}

function p95(all: readonly number[], from: number): string {
  return percentile(all.slice(from), 95).toFixed(1);
}
