/** Draws the figures of a soak: one small plot for each, over the minutes, with an axis from zero. */
import { FIGURES, type FigureName, type Look } from './figures.ts';
import type { SoakResult } from './runSoak.ts';

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
