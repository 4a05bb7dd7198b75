/** What a client is told of its cell, as the cell begins, puts out and ends. */

import type { EndStatus, Execution } from '../../../domain/execution.ts';
import { mimeText, type Output, type OutputItem, type RichOutput } from '../../../domain/output.ts';
import type { Language } from './contexts.ts';

/** What is sent to a client while its code runs: one object for each line of the stream. */
export type Event =
  | { readonly type: 'number_of_executions'; readonly execution_count: number }
  | PrintEvent
  | ResultEvent
  | ErrorEvent
  | { readonly type: 'keepalive' }
  | { readonly type: 'end_of_execution' };

export interface PrintEvent {
  readonly type: 'stdout' | 'stderr';
  readonly text: string;
  /** ISO 8601. */
  readonly timestamp: string;
}

/** Clients take each key that they do not know for a format of the result, so there are no others. */
interface ResultEvent extends Readonly<Record<string, unknown>> {
  readonly type: 'result';
  /** Whether it is the value of the cell, and not what the cell displays. */
  readonly is_main_result: boolean;
}

/** All three are always there: the Python client needs them. */
interface ErrorEvent {
  readonly type: 'error';
  readonly name: string;
  readonly value: string;
  readonly traceback: string;
}

function errorEvent(name: string, value: string, traceback = ''): ErrorEvent {
  return { type: 'error', name, value, traceback };
}

// Joins the pieces of a print. Text may come in pieces that are split anywhere, but clients expect what one print prints
// in one event. So text that does not end its line waits a moment for the rest.

/** How long the rest of a line may be on its way: twice as long as output waits to be stored. */
const REST_MS = 50;
/** How long text waits at most: too short for a person to mind. */
const LONGEST_WAIT_MS = 150;
/** More than this does not wait. */
const MAX_WAITING_CHARS = 1024 * 1024;

interface JoinPrints {
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

/** The key of each MIME type that has one, if its value is text. */
const TEXTS: ReadonlyMap<string, string> = new Map([
  ['text/plain', 'text'],
  ['text/html', 'html'],
  ['text/markdown', 'markdown'],
  ['image/svg+xml', 'svg'],
  ['image/png', 'png'],
  ['image/jpeg', 'jpeg'],
  ['application/pdf', 'pdf'],
  ['text/latex', 'latex'],
  ['application/javascript', 'javascript'],
]);
/** The same, if its value is JSON. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['application/json', 'json'],
  ['e2b/data', 'data'],
  ['e2b/chart', 'chart'],
]);

/** The event for a result or for what was displayed. Types without a key of their own are below `extra`. */
export function resultEvent({ kind, data }: Pick<RichOutput, 'kind' | 'data'>): ResultEvent {
  const formats: Record<string, unknown> = {};
  const others: [string, unknown][] = [];
  for (const [type, value] of Object.entries(data)) {
    const text = TEXTS.get(type);
    const key = VALUES.get(type);
    if (text !== undefined) formats[text] = mimeText(value) ?? value;
    else if (key === undefined) others.push([type, value]);
    else if (!isNoChart(key, value)) formats[key] = value;
  }
  if (typeof formats.text === 'string') formats.text = unquoted(formats.text);
  return {
    type: 'result',
    ...formats,
    ...(others.length > 0 && { extra: Object.fromEntries(others) }),
    is_main_result: kind === 'result',
  };
}

/** A figure that is blank has an empty chart. */
function isNoChart(key: string, value: unknown): boolean {
  return (
    key === 'chart' &&
    (value === null || (typeof value === 'object' && Object.keys(value).length === 0))
  );
}

/** Text is shown without the quotes of its `repr`. */
function unquoted(text: string): string {
  const [first] = text;
  const isQuoted = text.length > 1 && (first === "'" || first === '"') && text.endsWith(first);
  return isQuoted ? text.slice(1, -1) : text;
}

type Ended = Pick<
  Execution,
  'status' | 'executionCount' | 'errorName' | 'errorValue' | 'stateLost' | 'timeoutMs'
>;

interface CellEvents {
  begun(execution: Pick<Execution, 'executionCount'>): Event[];
  output(item: Pick<OutputItem, 'output' | 'at'>): Event[];
  /**
   * Everything up to the last event.
   * @param isContextOpen whether its context is still there
   */
  ended(execution: Ended, isContextOpen: boolean): Event[];
}

type ErrorOutput = Extract<Output, { kind: 'error' }>;

/** @param language of the cell */
export function createCellEvents(language: Language): CellEvents {
  let isCounted = false;
  /** The cell's error. Clients keep one, so it waits for what may still say more about the end. */
  let error: ErrorEvent | null = null;
  let droppedBytes: number | null = 0;
  let lossReason: string | null = null;

  function begun({ executionCount }: Pick<Execution, 'executionCount'>): Event[] {
    if (isCounted || executionCount === null) return [];
    isCounted = true;
    return [{ type: 'number_of_executions', execution_count: executionCount }];
  }

  return {
    begun,
    output: ({ output, at }) => {
      switch (output.kind) {
        case 'stream':
          return [print(output.name, output.text, at)];
        case 'result':
        case 'display':
          return [resultEvent(output)];
        case 'error':
          error ??= language === 'bash' ? errorOfShell(output) : errorShown(output);
          return [];
        case 'gap':
          lossReason = output.reason;
          droppedBytes = sum(droppedBytes, output.droppedBytes);
          return [];
        // Clients of E2B know none of these.
        case 'update':
        case 'clear':
        case 'input':
        case 'expressions':
        case 'finish':
          return [];
        default:
          return output satisfies never;
      }
    },
    ended: (execution, isContextOpen) => {
      const failure = errorOfEnd(execution, error, isContextOpen);
      const loss = lossReason === null ? null : lossText(droppedBytes, lossReason);
      return [
        ...begun(execution),
        ...(loss !== null && failure !== null
          ? [print('stderr', `\n[${loss}]\n`, new Date())]
          : []),
        ...(loss !== null && failure === null ? [errorEvent('OutputTruncated', loss)] : []),
        ...(failure === null ? [] : [failure]),
        { type: 'end_of_execution' },
      ];
    },
  };
}

function print(type: PrintEvent['type'], text: string, at: Date): PrintEvent {
  return { type, text, timestamp: at.toISOString() };
}

function errorShown({ name, value, traceback }: ErrorOutput): ErrorEvent {
  return errorEvent(name, value, withoutColours(traceback.join('\n')));
}

/** Python's traceback says nothing of a shell, and its text repeats the whole code before it says how that has ended. */
function errorOfShell(output: ErrorOutput): ErrorEvent {
  const end = /(?:returned non-zero (exit status \d+)|(died with .*))\.$/.exec(output.value);
  const value = end?.[1] ?? end?.[2];
  return value === undefined ? errorShown(output) : errorEvent(output.name, value);
}

/** What Python colours, a client shows as it is. */
function withoutColours(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  return text.replace(/\u001b\[[\d;]*m/g, '');
}

/** Null: unknown. */
function sum(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}

function lossText(bytes: number | null, reason: string): string {
  const what = bytes === null ? 'Output' : `${bytes} bytes of output`;
  return `${what} of this cell were dropped (${reason}).`;
}

/**
 * The error that a client is told of. Null: the code ended well.
 * @param shown the error that the code has shown
 */
function errorOfEnd(
  { status, errorName, errorValue, stateLost, timeoutMs }: Ended,
  shown: ErrorEvent | null,
  isContextOpen: boolean,
): ErrorEvent | null {
  switch (status as EndStatus) {
    case 'OK':
      return shown;
    case 'ERROR':
      return shown ?? errorEvent(errorName ?? 'Error', errorValue ?? '');
    case 'TIMEOUT':
      // What the time limit did to the code may look like an error of its own.
      return errorEvent(
        'TimeoutError',
        `The code did not end within its limit of ${timeoutMs} ms.`,
        shown?.traceback,
      );
    case 'INTERRUPTED':
      if (!isContextOpen) return CUT_OFF;
      // Code that is interrupted shows it. Code whose kernel is replaced shows nothing more.
      return shown ?? (stateLost ? RESTARTED : errorEvent('KeyboardInterrupt', ''));
    case 'CANCELLED':
      return isContextOpen ? errorEvent('ExecutionAborted', 'Execution was aborted') : CUT_OFF;
    case 'WORKER_LOST':
      return CUT_OFF;
    default:
      return status as never;
  }
}

const RESTARTED = errorEvent('ContextRestarting', 'Context was restarted');
const CUT_OFF = errorEvent(
  'UnexpectedEndOfExecution',
  'Connection to the execution was closed before the execution was finished',
);
