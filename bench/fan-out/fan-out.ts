/**
 * Measures what it costs if 1, 100 and 1,000 followers follow one execution, in turns: the time until the last of them
 * has a print, compared with a single follower; the gateway's CPU time for each print and additional follower; and the
 * delay of its event loop.
 */
import { startTestGateway } from '../../testkit/gateway.ts';
import type { Bench, BenchResult } from '../suite/bench.ts';
import { median } from '../support/percentile.ts';
import { PRINTS, type Round, runRound } from './runRound.ts';

const COUNTS = [1, 100, 1_000] as const;
const SHORT_COUNTS = [1, 100] as const;
/** Each round takes some seconds and has 25 prints. So twelve rounds give 300 prints for each count. */
const ROUNDS = 12;
const SHORT_ROUNDS = 3;
const WARM_UP = 1;
const US_PER_MS = 1_000;

export const fanOutBench: Bench = {
  name: 'fan-out',
  about: 'one execution that 1, 100 and 1,000 follow: delay, CPU time, event loop',
  isInBareRun: true,
  run: async ({ isShort, say }) => {
    const counts = isShort ? SHORT_COUNTS : COUNTS;
    const rounds = new Map<number, Round[]>(counts.map((count) => [count, []]));
    const gateway = await startTestGateway({ LOG_LEVEL: 'warn' });
    try {
      for (let turn = -WARM_UP; turn < (isShort ? SHORT_ROUNDS : ROUNDS); turn += 1) {
        for (const count of counts) {
          const round = await runRound(gateway, count);
          if (turn >= 0) rounds.get(count)?.push(round);
        }
        say(`round ${turn + 1}`);
      }
    } finally {
      await gateway.destroy();
    }
    return resultOf(rounds);
  },
};

function resultOf(rounds: ReadonlyMap<number, readonly Round[]>): BenchResult {
  const [[, alone] = [1, []], ...others] = rounds;
  const base = { name: 'to a single follower', values: alone.flatMap(({ lastMs }) => lastMs) };
  const aloneCpuMs = median(alone.map(({ cpuMs }) => cpuMs));
  return {
    comparisons: others.map(([count, ofCount]) => ({
      name: `from a print to the last of ${count}`,
      unit: 'ms',
      base,
      measured: {
        name: `to the last of ${count}`,
        values: ofCount.flatMap(({ lastMs }) => lastMs),
      },
    })),
    figures: [
      ...others.map(([count, ofCount]) => ({
        name: `CPU time of the gateway, each print and further follower, of ${count}`,
        unit: 'us',
        value:
          ((median(ofCount.map(({ cpuMs }) => cpuMs)) - aloneCpuMs) / ((count - 1) * PRINTS)) *
          US_PER_MS,
      })),
      ...[...rounds].map(([count, ofCount]) => ({
        name: `event loop delay of the gateway, p99, ${count} follow`,
        unit: 'ms',
        value: median(ofCount.map(({ loopDelayMs }) => loopDelayMs)),
      })),
    ],
  };
}
