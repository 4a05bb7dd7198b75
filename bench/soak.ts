/**
 * A mixed load (executes, streams, interrupts, releases, restarts of kernels) on a gateway of its own, for long. What the
 * gateway and its agents hold - memory, handles, file descriptors - must be the same at the end as after the warm-up; ends
 * with 1 if it is not. Agents are other users' processes, so it runs as root.
 *
 * `npm run bench -- soak [--minutes N] [--plot FILE.svg]`
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { FIGURES, type FigureName, type Look } from './soak/figures.ts';
import { plotSvg } from './soak/plotSvg.ts';
import { runSoak, type SoakResult } from './soak/runSoak.ts';
import type { Bench, BenchResult, BenchRun } from './suite/bench.ts';

const MINUTES = '20';
const SHORT_MINUTES = '2';
const CELL_CHARS = 12;
const NAMES = Object.keys(FIGURES) as FigureName[];

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
    const row = (cells: readonly string[]) =>
      say(cells.map((cell) => cell.padStart(CELL_CHARS)).join(''));
    row(['minute', ...NAMES]);
    const result = await runSoak(minutes, (look: Look) =>
      row([look.minute, ...NAMES.map((name) => look[name])].map((value) => value.toFixed(1))),
    );
    say([...result.counts].map(([name, n]) => `${name}: ${n}`).join(', '));
    const machine = `${cpus().length} CPUs, Node ${process.version}`;
    if (values.plot !== undefined)
      writeFileSync(values.plot, plotSvg(result, `${minutes} minutes of mixed load, ${machine}`));
    return judged(result);
  },
};

function judged({ verdicts, warmUpMinutes }: SoakResult): BenchResult {
  const figures = verdicts.flatMap(({ figure, level, growth }) => {
    const { name, unit, allowedGrowth } = FIGURES[figure];
    const after = `after ${warmUpMinutes.toFixed(1)} minutes`;
    return [
      { name: `${name}, level ${after}`, unit, value: level },
      { name: `${name}, growth ${after}`, unit, value: growth, target: { atMost: allowedGrowth } },
    ];
  });
  const growing = verdicts
    .filter(({ isFlat }) => !isFlat)
    .map(({ figure }) => FIGURES[figure].name);
  const result = { comparisons: [], figures };
  return growing.length === 0 ? result : { ...result, failure: `it grows: ${growing.join(', ')}` };
}
