/**
 * Measures whether a long history makes a gateway slower: `1+1` through HTTP, and a start after kill -9, on databases
 * with 10^3, 10^5 and 10^6 past executions. Each database has its own gateway. All run at the same time and take turns.
 *
 * `npm run bench -- growth [--executions N,N...] [--samples N] [--restarts N]`
 */
import { parseArgs } from 'node:util';
import type { TestGateway } from '../testkit/gateway.ts';
import type { Bench, BenchResult, BenchRun, Comparison } from './suite/bench.ts';
import { takeTurns } from './suite/takeTurns.ts';
import { restartHard, startGatewayWithPast } from './support/benchDatabase.ts';
import { usualHistory } from './support/history.ts';
import { httpExecute } from './support/httpExecute.ts';

const EXECUTIONS = '1000,100000,1000000';
const SHORT_EXECUTIONS = '1000,10000';
const WARM_UP = 50;
/** Highest ratio for the near end of the confidence interval. A higher one is not due to chance. */
const AT_MOST = 1.15;

export const growthBench: Bench = {
  name: 'growth',
  about: 'execute and start-up over 10^3, 10^5 and 10^6 past executions (--executions N,N...)',
  isInBareRun: false,
  run: async (run) => {
    const { sizes, samples, restarts } = options(run);
    const pasts: Past[] = [];
    try {
      for (const size of sizes) pasts.push(await startPast(size, run.say));
      run.say(`${samples} executes each, in turns`);
      await execute(pasts, samples);
      await restart(pasts, restarts, run.say);
      return { comparisons: compare(pasts), figures: [] };
    } finally {
      for (const { gateway } of pasts) await gateway.destroy();
    }
  },
};

function options({ args, isShort }: BenchRun) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      executions: { type: 'string', default: isShort ? SHORT_EXECUTIONS : EXECUTIONS },
      samples: { type: 'string', default: isShort ? '100' : '1000' },
      restarts: { type: 'string', default: isShort ? '3' : '60' },
    },
  });
  const sizes = values.executions.split(',').map(Number);
  if (sizes.length < 2) throw new Error('--executions names two numbers at least.');
  return { sizes, samples: Number(values.samples), restarts: Number(values.restarts) };
}

interface Past {
  readonly executions: number;
  readonly gateway: TestGateway;
  readonly executeMs: number[];
  readonly readyMs: number[];
  readonly answerMs: number[];
}

async function startPast(executions: number, say: BenchRun['say']): Promise<Past> {
  say(`a past of ${executions} executions`);
  const settings = { LOG_LEVEL: 'warn', MIN_IDLE_WORKERS: '0', WORKER_WAIT_TIMEOUT_MS: '120000' };
  const gateway = await startGatewayWithPast(usualHistory(executions), settings, (so) =>
    say(`  ${so}`),
  );
  return { executions, gateway, executeMs: [], readyMs: [], answerMs: [] };
}

async function execute(pasts: readonly Past[], samples: number): Promise<void> {
  const contenders = pasts.map(({ executions, gateway }) => {
    const call = httpExecute({ ...gateway, userUuid: 'live' });
    return { name: String(executions), roundTrip: () => call('1+1', '2') };
  });
  const series = await takeTurns(contenders, { samples, warmUp: WARM_UP });
  for (const [at, { executeMs }] of pasts.entries()) executeMs.push(...(series[at]?.values ?? []));
}

async function restart(pasts: readonly Past[], restarts: number, say: BenchRun['say']) {
  for (let turn = -1; turn < restarts; turn += 1) {
    for (const { gateway, readyMs, answerMs } of pasts) {
      const { startedAt, readyMs: tookMs } = await restartHard(gateway);
      await httpExecute({ ...gateway, userUuid: 'live' })('1+1', '2');
      if (turn < 0) continue;
      readyMs.push(tookMs);
      answerMs.push(performance.now() - startedAt);
    }
    if (turn % 10 === 0) say(`${turn} of ${restarts} restarts each, in turns`);
  }
}

function compare([base, ...others]: readonly Past[]): BenchResult['comparisons'] {
  if (base === undefined) return [];
  return others.flatMap((other) => [
    comparison('execute', 'executeMs', base, other),
    comparison('start to ready', 'readyMs', base, other),
    comparison('start to the first answer', 'answerMs', base, other),
  ]);
}

function comparison(
  what: string,
  of: 'executeMs' | 'readyMs' | 'answerMs',
  base: Past,
  measured: Past,
): Comparison {
  const samples = (past: Past) => ({
    name: `${past.executions} past executions`,
    values: past[of],
  });
  return {
    name: `${what}, ${measured.executions} past executions to ${base.executions}`,
    unit: 'ms',
    base: samples(base),
    measured: samples(measured),
    target: { atMost: AT_MOST, atNearEnd: true },
  };
}
