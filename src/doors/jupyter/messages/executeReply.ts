/** How an execution's end is told: an error that its outputs have not shown, and the reply. */
import type { EndStatus, Execution } from '../../../domain/execution.ts';
import type { Fields } from '../../shared/fields.ts';
import type { ErrorContent } from './outputMessage.ts';

type Ended = Pick<Execution, 'status' | 'errorName' | 'errorValue' | 'timeoutMs'>;

export interface EndOfCell {
  /** To be shown before the reply. Null if the outputs have shown it, or if there is none. */
  readonly unshown: ErrorContent | null;
  readonly reply: Fields;
}

export interface ToldOfCell {
  /** The last error among its outputs. */
  readonly shown: ErrorContent | null;
  /** What was evaluated beside it. */
  readonly expressions: Fields;
  /** Its number. */
  readonly count: number;
}

export function endOfCell(ended: Ended, { shown, expressions, count }: ToldOfCell): EndOfCell {
  switch (ended.status as EndStatus) {
    case 'OK':
      return {
        unshown: null,
        reply: { status: 'ok', execution_count: count, payload: [], user_expressions: expressions },
      };
    // It never ran: it was stopped by the error of another, or interrupted before its turn.
    case 'CANCELLED':
      return { unshown: null, reply: { status: 'aborted' } };
    case 'ERROR':
    case 'INTERRUPTED':
    case 'TIMEOUT':
    case 'WORKER_LOST': {
      // What the time limit did to the code may look like an error of its own.
      const isShown = shown !== null && ended.status !== 'TIMEOUT';
      const error = isShown ? shown : errorOf(ended);
      const unshown = isShown ? null : error;
      return { unshown, reply: { status: 'error', execution_count: count, ...error } };
    }
    default:
      return ended.status as never;
  }
}

/** For an end that no output tells. */
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
