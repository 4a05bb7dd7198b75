/**
 * Runs a mixed load (executes, streams, interrupts, releases, kernel restarts) on its own gateway for a long time. The
 * memory, handles and file descriptors of the gateway and its agents must be the same at the end as after the warm-up;
 * otherwise the run exits with 1. The bench needs root to inspect the agents, because they run as another user.
 *
 * `npm run bench -- soak [--minutes N] [--plot FILE.svg]`
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { startTestGateway } from '../testkit/gateway.ts';
import { containerOf, execute } from '../testkit/interpreter.ts';
import { createMixedLoad } from './soakLoad.ts';
import type { Bench, BenchRun } from './suite/bench.ts';
import {
  FIGURES,
  type FigureName,
  type FigureVerdict,
  headRow,
  judge,
  type Look,
  lookRow,
  openInspector,
  reportVerdicts,
  takeLook,
} from './support/holdings.ts';

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

// Runs a mixed load on a gateway for a long time, and reads its figures repeatedly while it is at rest.

const MS_PER_MINUTE = 60_000;
/** Time for compilers, caches and connection pools to fill up. */
const MAX_WARM_UP_MINUTES = 3;
/** The warm-up's share of a run that is too short for MAX_WARM_UP_MINUTES. */
const WARM_UP_SHARE = 0.3;
/** This many looks are enough for a trend, and leave most of the time for the load. */
const LOOKS = 60;
const MIN_LOOK_INTERVAL_MS = 4_000;
/** If there are fewer looks after the warm-up when the time is over, as on a very busy machine, the run goes on. */
const MIN_STEADY_LOOKS = 6;
/** These users together with the visitors keep two cores busy. */
const USERS = ['soak-1', 'soak-2', 'soak-3'];

interface SoakResult {
  /** All looks, including those of the warm-up. */
  readonly looks: readonly Look[];
  readonly warmUpMinutes: number;
  /** The verdicts on the looks after the warm-up. */
  readonly verdicts: readonly FigureVerdict[];
  /** How often each kind of step was done. */
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * @param onLook gets each look when it is taken
 * @throws Error if a call gets a wrong answer
 */
export async function runSoak(
  minutes: number,
  onLook: (look: Look) => void = () => undefined,
): Promise<SoakResult> {
  const gateway = await startTestGateway({
    LOG_LEVEL: 'warn',
    MIN_IDLE_WORKERS: '1',
    NODE_OPTIONS: '--inspect=127.0.0.1:0',
  });
  try {
    const inspector = await openInspector(gateway.log());
    for (const user of USERS) await execute(gateway, user, '1');
    const containers = await Promise.all(USERS.map((user) => containerOf(gateway, user)));
    const load = createMixedLoad(gateway, USERS);
    const startedAt = performance.now();
    const durationMs = minutes * MS_PER_MINUTE;
    const intervalMs = Math.max(MIN_LOOK_INTERVAL_MS, durationMs / LOOKS);
    const warmUpMinutes = Math.min(MAX_WARM_UP_MINUTES, minutes * WARM_UP_SHARE);
    const looks: Look[] = [];
    const steady = () => looks.filter(({ minute }) => minute >= warmUpMinutes);
    while (performance.now() - startedAt < durationMs || steady().length < MIN_STEADY_LOOKS) {
      await load.run(intervalMs);
      const look = await takeLook({ gateway, inspector, containers, startedAt });
      looks.push(look);
      onLook(look);
    }
    inspector.close();
    return { looks, warmUpMinutes, verdicts: judge(steady()), counts: load.counts };
  } finally {
    await gateway.destroy();
  }
}

// Draws the figures of a soak: one small plot for each, over the minutes, with an axis from zero.

const COLUMNS = 2;
/** Size of one plot with its margins, in pixels. */
const WIDTH = 420;
const HEIGHT = 170;
const MARGIN = { left: 52, right: 14, top: 30, bottom: 26 };
const TITLE_HEIGHT = 34;
/** Room above the highest sample, so that a line at the maximum is visible. */
const HEADROOM = 1.15;
const COLOURS = { line: '#1f5fa8', axis: '#777777', text: '#222222', warmUp: '#eeeeee' };

/** Alignment of the labels at the beginning, middle and end of an axis, so that none extends beyond it. */
const ANCHORS = ['start', 'middle', 'end'];

const PLOT_WIDTH = WIDTH - MARGIN.left - MARGIN.right;
const PLOT_HEIGHT = HEIGHT - MARGIN.top - MARGIN.bottom;

/** @returns a self-contained SVG document. @throws RangeError if there are no looks */
export function plotSvg({ looks, warmUpMinutes }: SoakResult, title: string): string {
  const last = looks.at(-1);
  if (!last) throw new RangeError('There is nothing to plot.');
  const figures = Object.keys(FIGURES) as FigureName[];
  const rows = Math.ceil(figures.length / COLUMNS);
  const [width, height] = [COLUMNS * WIDTH, TITLE_HEIGHT + rows * HEIGHT];
  const plots = figures.map((figure, n) => {
    const [x, y] = [(n % COLUMNS) * WIDTH, TITLE_HEIGHT + Math.floor(n / COLUMNS) * HEIGHT];
    const plot = plotFigure(figure, looks, warmUpMinutes, last.minute);
    return `<g transform="translate(${x} ${y})">${plot}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text(14, 22, title, 'font-size="14" font-weight="bold"'),
    ...plots,
    '</svg>\n',
  ].join('\n');
}

function plotFigure(
  figure: FigureName,
  looks: readonly Look[],
  warmUpMinutes: number,
  minutes: number,
): string {
  const { name, unit } = FIGURES[figure];
  const highest = Math.max(...looks.map((look) => look[figure])) * HEADROOM;
  const x = (minute: number) => MARGIN.left + (minute / minutes) * PLOT_WIDTH;
  const y = (value: number) => MARGIN.top + PLOT_HEIGHT - (value / highest) * PLOT_HEIGHT;
  const points = looks.map((look) => `${x(look.minute).toFixed(1)},${y(look[figure]).toFixed(1)}`);
  const [bottom, right] = [MARGIN.top + PLOT_HEIGHT, MARGIN.left + PLOT_WIDTH];
  return [
    `<rect x="${MARGIN.left}" y="${MARGIN.top}" width="${(x(warmUpMinutes) - MARGIN.left).toFixed(1)}" height="${PLOT_HEIGHT}" fill="${COLOURS.warmUp}"/>`,
    text(MARGIN.left, MARGIN.top - 10, unit === '' ? name : `${name}, ${unit}`),
    ...[0, highest / 2, highest].map((value) =>
      text(MARGIN.left - 6, y(value) + 4, value.toFixed(highest < 10 ? 1 : 0), 'text-anchor="end"'),
    ),
    ...[0, minutes / 2, minutes].map((minute, n) => {
      const label = `${minute.toFixed(minutes < 10 ? 1 : 0)} min`;
      return text(x(minute), bottom + 16, label, `text-anchor="${ANCHORS[n]}"`);
    }),
    `<path d="M${MARGIN.left} ${MARGIN.top}V${bottom}H${right}" fill="none" stroke="${COLOURS.axis}"/>`,
    `<polyline points="${points.join(' ')}" fill="none" stroke="${COLOURS.line}" stroke-width="1.5"/>`,
  ].join('');
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const place = `x="${x.toFixed(1)}" y="${y.toFixed(1)}"`;
  return `<text ${place} fill="${COLOURS.text}" ${attributes}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
