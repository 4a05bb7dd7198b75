import { DomainError, type ErrorCode } from '../../../../domain/errors.ts';
import type { DoorDeps } from '../../../openDoor.ts';
import type { SandboxCall } from '../../surface.ts';
import { type RpcCode, RpcError } from './rpcError.ts';

/**
 * The code of each error. Codes that are not here are defects: `internal`. So is a full disk: `resource_exhausted` would
 * say that the caller asks too often.
 */
const CODES: Partial<Readonly<Record<ErrorCode, RpcCode>>> = {
  BAD_USER_INPUT: 'invalid_argument',
  IS_A_DIRECTORY: 'invalid_argument',
  NOT_A_DIRECTORY: 'invalid_argument',
  NOT_A_FILE: 'invalid_argument',
  UNAUTHENTICATED: 'unauthenticated',
  FORBIDDEN: 'permission_denied',
  FILE_ACCESS_DENIED: 'permission_denied',
  NOT_FOUND: 'not_found',
  FILE_NOT_FOUND: 'not_found',
  FILE_EXISTS: 'already_exists',
  FILE_TIMEOUT: 'deadline_exceeded',
  FILE_TOO_LARGE: 'failed_precondition',
  PRECONDITION_FAILED: 'failed_precondition',
  INPUT_CLOSED: 'failed_precondition',
  INPUT_OUT_OF_ORDER: 'aborted',
  INPUT_LIMIT: 'resource_exhausted',
  CONTEXT_LIMIT: 'resource_exhausted',
  QUOTA_EXCEEDED: 'resource_exhausted',
  QUEUE_FULL: 'resource_exhausted',
  FILES_BUSY: 'resource_exhausted',
  FILES_UNAVAILABLE: 'unavailable',
  DATABASE_UNAVAILABLE: 'unavailable',
  SHUTTING_DOWN: 'unavailable',
};

/**
 * The error of a call whose session has ended: then the answer is that of a sandbox that is gone, also if the call only
 * found nothing. Null: the session has not ended, or nobody expected the error.
 */
export async function goneOf(
  { hasEnded }: Pick<SandboxCall, 'hasEnded'>,
  error: unknown,
): Promise<DomainError | null> {
  const isExpected = error instanceof DomainError || error instanceof RpcError;
  if (!isExpected || !(await hasEnded())) return null;
  if (error instanceof DomainError) return error;
  return new DomainError('SESSION_ENDED', 'The session has ended.', {}, { cause: error });
}

/** What the caller is told of an error. One that nobody expected is logged, and masked. */
export function rpcErrorOf(
  error: unknown,
  { logger, newId }: Pick<DoorDeps, 'logger' | 'newId'>,
): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof DomainError) {
    return new RpcError(CODES[error.code] ?? 'internal', error.message, { cause: error });
  }
  const newErrorId: () => string = newId;
  const errorId = newErrorId();
  logger.error({ err: error, errorId, door: 'e2b' }, 'Answering a call of envd failed.');
  return new RpcError('internal', `Internal error (${errorId}).`, { cause: error });
}
