/** Every `extensions.code` that a caller can get. `src/schema/errorCode.ts` says what to do about each. */
export const ERROR_CODES = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'POOL_INITIALIZING',
  'POOL_EXHAUSTED',
  'QUEUE_FULL',
  'IDEMPOTENCY_CONFLICT',
  'NOT_FOUND',
  'SESSION_ENDED',
  'SESSION_OPTIONS_DIFFER',
  'ENVIRONMENT_NOT_READY',
  'CONTEXT_LIMIT',
  'CONTEXT_FAILED',
  'INPUT_OUT_OF_ORDER',
  'INPUT_CLOSED',
  'INPUT_LIMIT',
  'QUOTA_EXCEEDED',
  'WORKER_START_FAILED',
  'DATABASE_UNAVAILABLE',
  'SHUTTING_DOWN',
  'FILE_NOT_FOUND',
  'FILE_ACCESS_DENIED',
  'IS_A_DIRECTORY',
  'NOT_A_DIRECTORY',
  'NOT_A_FILE',
  'FILE_EXISTS',
  'FILE_TOO_LARGE',
  'NO_SPACE',
  'PRECONDITION_FAILED',
  'FILE_TIMEOUT',
  'FILES_BUSY',
  'FILES_UNAVAILABLE',
  'INTERNAL',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** `retryAfterMs` of an error whose cause is gone soon, in ms: a transfer ends, a worker starts, a gateway takes over. */
export const RETRY_AFTER_MS = 1_000;

/**
 * An expected failure. The caller gets its message unchanged, so the message says what was wrong and what to do, and
 * never contains code, output or tokens. Any other error is masked as INTERNAL.
 */
export class DomainError extends Error {
  readonly code: ErrorCode;
  /** Further machine-readable facts, e.g. `{ retryAfterMs: 1000 }`, `{ field: 'code', limit: 1048576 }`. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'DomainError';
    this.code = code;
    this.details = details;
  }
}

/** The message of a thrown value, which need not be an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The messages of an error and of its causes, outermost first, for the operator. */
export function explain(error: unknown): string {
  const inner =
    error instanceof AggregateError
      ? error.errors
      : error instanceof Error && error.cause
        ? [error.cause]
        : [];
  return [messageOf(error), ...inner.map((cause) => `  because: ${explain(cause)}`)].join('\n');
}

/** Whether `error` is a system error with this code, e.g. `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
