import { DomainError, type ErrorCode } from '../../../domain/errors.ts';
import type { ErrorContent } from '../messages/outputMessage.ts';

const BUSY: ReadonlySet<ErrorCode> = new Set([
  'QUEUE_FULL',
  'QUOTA_EXCEEDED',
  'POOL_EXHAUSTED',
  'POOL_INITIALIZING',
  'WORKER_START_FAILED',
  'DATABASE_UNAVAILABLE',
  'SHUTTING_DOWN',
]);

/**
 * The error that a client gets for a cell that was not accepted, and so did not run.
 * @throws `error`, unless it is a DomainError
 */
export function refusedCell(error: unknown): ErrorContent & Record<string, unknown> {
  if (!(error instanceof DomainError)) throw error;
  const { code, message: evalue } = error;
  if (code === 'NOT_FOUND') return { ename: 'DeadKernelError', evalue, traceback: [] };
  return { ename: BUSY.has(code) ? 'CellhouseBusy' : 'CellhouseError', evalue, traceback: [] };
}
