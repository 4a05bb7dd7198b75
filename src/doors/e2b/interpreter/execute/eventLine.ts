/** One event as one line of the stream. */
import { asciiJson } from '../asciiJson.ts';
import type { Event } from './events.ts';

/** From here on, JavaScript writes numbers with an exponent. */
const FIRST_WITH_EXPONENT = 1e21;

/**
 * ASCII, and ends in a newline. The numbers of a chart have a fraction, even if it is zero: the Python client reads `1` as
 * an `int`, but they are all floats.
 */
export function eventLine(event: Event): string {
  if (event.type !== 'result' || event.chart === undefined) return `${asciiJson(event)}\n`;
  const { chart, ...others } = event;
  return `${asciiJson(others).slice(0, -1)},"chart":${chartJson(chart)}}\n`;
}

function chartJson(value: unknown): string {
  if (isWhole(value)) return `${value}.0`;
  if (typeof value !== 'object' || value === null) return asciiJson(value);
  if (Array.isArray(value)) return `[${value.map(chartJson).join(',')}]`;
  const fields = Object.entries(value).map(([key, item]) => `${asciiJson(key)}:${chartJson(item)}`);
  return `{${fields.join(',')}}`;
}

/** Whether JavaScript writes it as digits alone. */
function isWhole(value: unknown): value is number | bigint {
  if (typeof value === 'bigint') return true;
  return Number.isInteger(value) && Math.abs(value as number) < FIRST_WITH_EXPONENT;
}
