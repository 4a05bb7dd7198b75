import { DomainError, type ErrorCode } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';

/** A request that is not carried out, and why. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** The request had no token. Some protocols answer this differently from a wrong token. */
  readonly isTokenMissing?: true;
}

/** The HTTP status of each error code. */
const STATUSES: Readonly<Record<ErrorCode, number>> = {
  BAD_USER_INPUT: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  FILE_ACCESS_DENIED: 403,
  NOT_FOUND: 404,
  FILE_NOT_FOUND: 404,
  FILE_TIMEOUT: 408,
  IS_A_DIRECTORY: 409,
  NOT_A_DIRECTORY: 409,
  NOT_A_FILE: 409,
  FILE_EXISTS: 409,
  SESSION_ENDED: 409,
  SESSION_OPTIONS_DIFFER: 409,
  IDEMPOTENCY_CONFLICT: 409,
  CONTEXT_LIMIT: 409,
  INPUT_OUT_OF_ORDER: 409,
  INPUT_CLOSED: 409,
  INPUT_LIMIT: 409,
  PRECONDITION_FAILED: 412,
  FILE_TOO_LARGE: 413,
  QUOTA_EXCEEDED: 429,
  INTERNAL: 500,
  FILES_BUSY: 503,
  FILES_UNAVAILABLE: 503,
  ENVIRONMENT_NOT_READY: 503,
  POOL_INITIALIZING: 503,
  POOL_EXHAUSTED: 503,
  QUEUE_FULL: 503,
  CONTEXT_FAILED: 503,
  WORKER_START_FAILED: 503,
  DATABASE_UNAVAILABLE: 503,
  SHUTTING_DOWN: 503,
  NO_SPACE: 507,
};

/** The refusal that an expected error becomes, with `Retry-After` if the error says when to try again. */
export function refusalOf(error: DomainError): Refusal {
  const { code, message, details } = error;
  const seconds = secondsToRetry(error);
  return {
    status: STATUSES[code],
    code,
    message,
    details,
    ...(seconds !== null && { headers: { 'Retry-After': String(seconds) } }),
  };
}

/** In how many whole seconds the caller should try again. Null: the error does not say. */
export function secondsToRetry({ details }: DomainError): number | null {
  const { retryAfterMs } = details;
  return typeof retryAfterMs === 'number' ? Math.max(1, Math.ceil(retryAfterMs / 1_000)) : null;
}

/** The refusal for an unexpected error, which is logged with this id. */
export function internalRefusal(errorId: string): Refusal {
  return { status: 500, code: 'INTERNAL', message: 'Internal error', details: { errorId } };
}

/** The error for a thing that does not exist, or that belongs to another tenant. */
export function notFound(what: string, name: string): DomainError {
  return new DomainError('NOT_FOUND', `There is no ${what} ${quoted(name)}.`);
}

/** The error for a request that names a context which is not open, or whose session is not open. */
export function noContext(id: string): DomainError {
  return notFound('open context', id);
}
