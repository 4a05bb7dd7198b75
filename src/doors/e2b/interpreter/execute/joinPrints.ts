/**
 * Joins the pieces of a print. Text may come in pieces that are split anywhere, but clients expect what one print prints
 * in one event. So text that does not end its line waits a moment for the rest.
 */
import type { PrintEvent } from './events.ts';

/** How long the rest of a line may be on its way: twice as long as output waits to be stored. */
const REST_MS = 50;
/** How long text waits at most: too short for a person to mind. */
const LONGEST_WAIT_MS = 150;
/** More than this does not wait. */
const MAX_WAITING_CHARS = 1024 * 1024;

export interface JoinPrints {
  /** What is to be sent now. */
  add(print: PrintEvent): PrintEvent[];
  /** What waits, which nothing more is joined to. */
  take(): PrintEvent[];
  /** In how many milliseconds {@link take} is due. Null: nothing waits. */
  dueInMs(): number | null;
}

export function createJoinPrints(now = () => performance.now()): JoinPrints {
  let waiting: PrintEvent | null = null;
  let since = 0;
  let last = 0;

  function take(): PrintEvent[] {
    const taken = waiting;
    waiting = null;
    return taken === null ? [] : [taken];
  }

  return {
    add: (print) => {
      const before = waiting !== null && waiting.type !== print.type ? take() : [];
      last = now();
      if (waiting === null) since = last;
      const text: string = (waiting?.text ?? '') + print.text;
      waiting = { ...print, text, timestamp: waiting?.timestamp ?? print.timestamp };
      const isWhole = text.endsWith('\n') || text.length >= MAX_WAITING_CHARS;
      return isWhole ? [...before, ...take()] : before;
    },
    take,
    dueInMs: () =>
      waiting === null
        ? null
        : Math.max(0, Math.min(last + REST_MS, since + LONGEST_WAIT_MS) - now()),
  };
}
