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
import { runSoak } from './soak/runSoak.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '20' }, plot: { type: 'string' } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error('--minutes is a number above 0.');
const NAME_CHARS = 34;
const figures = Object.keys(FIGURES) as FigureName[];

row('minute', figures);
const result = await runSoak(minutes, (look: Look) =>
  row(
    look.minute.toFixed(1),
    figures.map((figure) => look[figure].toFixed(1)),
  ),
);
const machine = `${cpus().length} CPUs, Node ${process.version}`;
console.log(`\n${machine}; ${[...result.counts].map(([name, n]) => `${name}: ${n}`).join(', ')}\n`);
row(`after ${result.warmUpMinutes.toFixed(1)} minutes`, ['level', 'growth', 'allowed', '']);
for (const { figure, level, growth, isFlat } of result.verdicts) {
  const { name, unit, allowedGrowth } = FIGURES[figure];
  const cells = [level, growth, allowedGrowth].map((value) => value.toFixed(1));
  row(unit === '' ? name : `${name}, ${unit}`, [...cells, isFlat ? 'flat' : 'GROWS']);
}
if (values.plot !== undefined)
  writeFileSync(values.plot, plotSvg(result, `${minutes} minutes of mixed load, ${machine}`));
if (!result.verdicts.every(({ isFlat }) => isFlat)) process.exitCode = 1;

function row(name: string, cells: readonly string[]): void {
  console.log(name.padEnd(NAME_CHARS) + cells.map((cell) => cell.padStart(12)).join(''));
}
