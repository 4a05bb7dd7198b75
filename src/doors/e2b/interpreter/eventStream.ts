/** The answer to `/execute`: a stream with one JSON object a line. */

import type { ServerResponse } from 'node:http';
import { jsonText } from '../../../domain/exactJson.ts';
import { createJoinPrints, type Event } from './cellEvents.ts';

/** All characters that are not ASCII, and DEL. */
const NOT_ASCII = /[\u007f-\uffff]/g;

/**
 * A value as JSON that is pure ASCII. The JavaScript client decodes each chunk of a stream separately, so it would
 * break characters of several bytes. The Python client also splits lines at U+2028 and similar characters.
 */
export function asciiJson(value: unknown): string {
  return jsonText(value).replace(
    NOT_ASCII,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// One event as one line of the stream.

/** From here on, JavaScript writes numbers with an exponent. */
const FIRST_WITH_EXPONENT = 1e21;

/**
 * An event as one line of ASCII with a newline. The whole numbers of a chart are written as `1.0`, because charts have
 * floats, and the Python client would read `1` as an `int`.
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

/** Clients and proxies give up after some silence. Also, a lost connection is noticed only by writing. */
const KEEPALIVE_MS = 5_000;

interface EventStream {
  /** Resolves when the client has read enough, so that memory use is limited. */
  send(events: readonly Event[]): Promise<void>;
  end(events: readonly Event[]): void;
}

/** Sends the headers. From then on, sends keepalives until the response ends or is closed. */
export function openEventStream(res: ServerResponse): EventStream {
  const prints = createJoinPrints();
  let due: NodeJS.Timeout | undefined;

  function write(events: readonly Event[]): boolean {
    if (events.length === 0 || !isOpen(res)) return true;
    keepalive.refresh();
    return res.write(events.map(eventLine).join(''));
  }

  /** The events to send now. Text without a newline at its end waits for the rest, unless another event follows. */
  function joined(events: readonly Event[]): Event[] {
    return events.flatMap((event): Event[] => {
      const isPrint = event.type === 'stdout' || event.type === 'stderr';
      return isPrint ? prints.add(event) : [...prints.take(), event];
    });
  }

  function scheduleWrite(): void {
    clearTimeout(due);
    const ms = prints.dueInMs();
    if (ms === null) return;
    due = setTimeout(() => write(prints.take()), ms);
  }

  const keepalive = setInterval(() => write([{ type: 'keepalive' }]), KEEPALIVE_MS);
  res.once('close', () => {
    clearInterval(keepalive);
    clearTimeout(due);
  });
  res.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
  res.flushHeaders();

  return {
    send: async (events) => {
      const isTaken = write(joined(events));
      scheduleWrite();
      if (!isTaken) await drained(res);
    },
    end: (events) => {
      clearInterval(keepalive);
      clearTimeout(due);
      res.end(joined(events).map(eventLine).join(''));
    },
  };
}

function isOpen(res: ServerResponse): boolean {
  return !res.destroyed && !res.writableEnded;
}

/** Also resolves when the response is closed. */
async function drained(res: ServerResponse): Promise<void> {
  if (!isOpen(res) || !res.writableNeedDrain) return;
  await new Promise<void>((resolve) => {
    const over = () => {
      res.off('drain', over).off('close', over);
      resolve();
    };
    res.on('drain', over).on('close', over);
  });
}
