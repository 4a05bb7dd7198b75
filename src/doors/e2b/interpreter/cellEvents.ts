/** Makes the events that a client gets for its cell: when the cell begins, for its output, and at its end. */

import type { EndStatus, Execution } from '../../../domain/execution.ts';
import { mimeText, type Output, type OutputItem, type RichOutput } from '../../../domain/output.ts';
import type { Language } from './contexts.ts';

/** An event for a client while its code runs. Each is one JSON object, on one line of the stream. */
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

/** Clients take each unknown key for a format of the result, so this has no other keys. */
interface ResultEvent extends Readonly<Record<string, unknown>> {
  readonly type: 'result';
  /** Whether this is the value of the cell. False: something that the cell displayed. */
  readonly is_main_result: boolean;
}

/** The Python client needs all three fields. */
interface ErrorEvent {
  readonly type: 'error';
  readonly name: string;
  readonly value: string;
  readonly traceback: string;
}

function errorEvent(name: string, value: string, traceback = ''): ErrorEvent {
  return { type: 'error', name, value, traceback };
}

// Joins the pieces of a print. The output of one `print` may arrive in several pieces, split anywhere, but clients
// expect it in one event. So text that does not end with a newline waits a moment for the rest.

/** How long to wait for the rest of a line: twice as long as output waits to be stored. */
const REST_MS = 50;
/** How long text waits at most: too short for a person to mind. */
const LONGEST_WAIT_MS = 150;
/** Text of this length is sent without waiting. */
const MAX_WAITING_CHARS = 1024 * 1024;

interface JoinPrints {
  /** Returns the events to send now. */
  add(print: PrintEvent): PrintEvent[];
  /** Takes the text that waits. Later text is not joined to it. */
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

/** The key in {@link ResultEvent} of each known MIME type whose value is text. */
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
/** The same for MIME types whose value is JSON. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['application/json', 'json'],
  ['e2b/data', 'data'],
  ['e2b/chart', 'chart'],
]);

/** The event for a result or a displayed output. MIME types without a key are in `extra`. */
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

/** Whether this is an empty chart, which a blank figure has. */
function isNoChart(key: string, value: unknown): boolean {
  return (
    key === 'chart' &&
    (value === null || (typeof value === 'object' && Object.keys(value).length === 0))
  );
}

/** Removes the quotes of a string's `repr`. */
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
   * The remaining events, up to the last one.
   * @param isContextOpen whether the cell's context is still open
   */
  ended(execution: Ended, isContextOpen: boolean): Event[];
}

type ErrorOutput = Extract<Output, { kind: 'error' }>;

/** @param language of the cell */
export function createCellEvents(language: Language): CellEvents {
  let isCounted = false;
  /**
   * The cell's first error. Clients keep only one error, so it is sent at the end, when it is known how the cell ended.
   */
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
        // E2B's clients have no events for these.
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

/**
 * The error of a shell cell is an exception of `%%bash`. Its traceback is useless, and its text repeats the whole code
 * before it says how the code ended.
 */
function errorOfShell(output: ErrorOutput): ErrorEvent {
  const end = /(?:returned non-zero (exit status \d+)|(died with .*))\.$/.exec(output.value);
  const value = end?.[1] ?? end?.[2];
  return value === undefined ? errorShown(output) : errorEvent(output.name, value);
}

/** Removes terminal colours, which clients would show as raw characters. */
function withoutColours(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  return text.replace(/\u001b\[[\d;]*m/g, '');
}

/** Null if either number is unknown. */
function sum(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}

function lossText(bytes: number | null, reason: string): string {
  const what = bytes === null ? 'Some output' : `${bytes} bytes of the output`;
  return `${what} of this cell could not be kept (${reason}).`;
}

/**
 * The error for the client. Null: the code ended without an error.
 * @param shown the error among the code's outputs
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
      // The interrupt at the time limit may look like an error of the code itself.
      return errorEvent(
        'TimeoutError',
        `The code did not end within its limit of ${timeoutMs} ms.`,
        shown?.traceback,
      );
    case 'INTERRUPTED':
      if (!isContextOpen) return CUT_OFF;
      // Interrupted code outputs a KeyboardInterrupt. If its kernel was replaced, there is no such output.
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
