/** What a client is told of its cell, as the cell begins, puts out and ends. */
import type { EndStatus, Execution } from '../../../../domain/execution.ts';
import type { Output, OutputItem } from '../../../../domain/output.ts';
import type { Language } from '../contexts/languages.ts';
import { type ErrorEvent, type Event, errorEvent, type PrintEvent } from './events.ts';
import { resultEvent } from './resultEvent.ts';

type Ended = Pick<
  Execution,
  'status' | 'executionCount' | 'errorName' | 'errorValue' | 'stateLost' | 'timeoutMs'
>;

export interface CellEvents {
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
      const told = errorOfEnd(execution, error, isContextOpen);
      const loss = lossReason === null ? null : lossText(droppedBytes, lossReason);
      return [
        ...begun(execution),
        ...(loss !== null && told !== null ? [print('stderr', `\n[${loss}]\n`, new Date())] : []),
        ...(loss !== null && told === null ? [errorEvent('OutputTruncated', loss)] : []),
        ...(told === null ? [] : [told]),
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
