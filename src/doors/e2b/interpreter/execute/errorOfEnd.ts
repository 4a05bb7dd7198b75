import type { EndStatus } from '../../../../domain/execution.ts';
import type { Ended } from './cellEvents.ts';
import { type ErrorEvent, errorEvent } from './events.ts';

/**
 * The error that a client is told of. Null: the code ended well.
 * @param shown the error that the code has shown
 */
export function errorOfEnd(
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
