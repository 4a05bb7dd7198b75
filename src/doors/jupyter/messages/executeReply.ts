/** What clients get at an execution's end: an error that its outputs have not shown, and the reply. */
import type { EndStatus, Execution } from '../../../domain/execution.ts';
import type { Fields } from '../../shared/fields.ts';
import type { ErrorContent } from './outputMessage.ts';

type Ended = Pick<Execution, 'status' | 'errorName' | 'errorValue' | 'timeoutMs'>;

export interface EndOfCell {
  /** The error to show before the reply. Null if the outputs have shown it, or if there is none. */
  readonly unshown: ErrorContent | null;
  readonly reply: Fields;
}

export interface ToldOfCell {
  /** The last error among its outputs. */
  readonly shown: ErrorContent | null;
  /** The results of its user expressions. */
  readonly expressions: Fields;
  /** Its execution count. */
  readonly count: number;
}

export function endOfCell(ended: Ended, { shown, expressions, count }: ToldOfCell): EndOfCell {
  switch (ended.status as EndStatus) {
    case 'OK':
      return {
        unshown: null,
        reply: { status: 'ok', execution_count: count, payload: [], user_expressions: expressions },
      };
    // It never ran: it was cancelled because of an error of another cell, or interrupted before its turn.
    case 'CANCELLED':
      return { unshown: null, reply: { status: 'aborted' } };
    case 'ERROR':
    case 'INTERRUPTED':
    case 'TIMEOUT':
    case 'WORKER_LOST': {
      // The interrupt at the time limit may look like an error of the code itself.
      const isShown = shown !== null && ended.status !== 'TIMEOUT';
      const error = isShown ? shown : errorOf(ended);
      const unshown = isShown ? null : error;
      return { unshown, reply: { status: 'error', execution_count: count, ...error } };
    }
    default:
      return ended.status as never;
  }
}

/** The error for an end that no output has shown. */
function errorOf({ status, errorName, errorValue, timeoutMs }: Ended): ErrorContent {
  const traceback: string[] = [];
  switch (status) {
    case 'TIMEOUT':
      return {
        ename: 'TimeoutError',
        evalue: `The cell did not end within its limit of ${timeoutMs} ms.`,
        traceback,
      };
    case 'INTERRUPTED':
      return { ename: 'KeyboardInterrupt', evalue: '', traceback };
    case 'WORKER_LOST':
      return {
        ename: 'DeadKernelError',
        evalue: 'The worker of this kernel is gone, and its variables and files with it.',
        traceback,
      };
    default:
      return { ename: errorName ?? 'Error', evalue: errorValue ?? '', traceback };
  }
}
