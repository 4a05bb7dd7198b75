/**
 * Runs a mixed load (executes, streams, interrupts, releases, kernel restarts) on its own gateway for a long time. The
 * memory, handles and file descriptors of the gateway and its agents must be the same at the end as after the warm-up;
 * otherwise it exits with 1. It needs root to inspect the agents, because they run as another user.
 *
 * `npm run bench -- soak [--minutes N] [--plot FILE.svg]`
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { Bench, BenchRun } from '../suite/bench.ts';
import { reportVerdicts } from './judge.ts';
import { headRow, lookRow } from './lookRows.ts';
import { plotSvg } from './plotSvg.ts';
import { runSoak } from './runSoak.ts';

const MINUTES = '20';
const SHORT_MINUTES = '2';

export const soakBench: Bench = {
  name: 'soak',
  about: 'what a gateway and its agents hold does not grow under a mixed load; as root',
  isInBareRun: false,
  run: async ({ isShort, args, say }: BenchRun) => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string', default: isShort ? SHORT_MINUTES : MINUTES },
        plot: { type: 'string' },
      },
    });
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new Error('--minutes is a number above 0.');
    say(headRow('minute'));
    const result = await runSoak(minutes, (look) => say(lookRow(look.minute.toFixed(1), look)));
    say([...result.counts].map(([name, n]) => `${name}: ${n}`).join(', '));
    const machine = `${cpus().length} CPUs, Node ${process.version}`;
    if (values.plot !== undefined)
      writeFileSync(values.plot, plotSvg(result, `${minutes} minutes of mixed load, ${machine}`));
    return reportVerdicts(result.verdicts, `after ${result.warmUpMinutes.toFixed(1)} minutes`);
  },
};
