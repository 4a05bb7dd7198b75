/** The answer to `/execute`: one JSON object a line, sent as it comes. */
import type { ServerResponse } from 'node:http';
import { eventLine } from './eventLine.ts';
import type { Event } from './events.ts';
import { createJoinPrints } from './joinPrints.ts';

/** Clients and proxies give up after some silence. Whoever is gone is found out by writing. */
const KEEPALIVE_MS = 5_000;

export interface EventStream {
  /** Resolves when the client has taken enough of it, so that no more than that is in memory. */
  send(events: readonly Event[]): Promise<void>;
  end(events: readonly Event[]): void;
}

/** Sends the headers. From now on there are keepalives, until the response ends or is closed. */
export function openEventStream(res: ServerResponse): EventStream {
  const prints = createJoinPrints();
  let due: NodeJS.Timeout | undefined;

  function write(events: readonly Event[]): boolean {
    if (events.length === 0 || !isOpen(res)) return true;
    keepalive.refresh();
    return res.write(events.map(eventLine).join(''));
  }

  /** Text that ends no line waits for the rest, unless something else follows. */
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
