import { DomainError, type ErrorCode } from '../../../../domain/errors.ts';
import { type Refusal, refusalOf } from '../../../../service/refusal.ts';

/** Where envd has another status than the other doors: its clients know what each of these means. */
const STATUSES: Partial<Readonly<Record<ErrorCode, number>>> = {
  IS_A_DIRECTORY: 400,
  NOT_A_DIRECTORY: 400,
  NOT_A_FILE: 400,
  FILE_EXISTS: 400,
  FILES_BUSY: 429,
};

/** The refusal that an error becomes. Null: nobody expected it. */
export function fileRefusalOf(error: unknown): Refusal | null {
  if (!(error instanceof DomainError)) return null;
  const refusal = refusalOf(error);
  return { ...refusal, status: STATUSES[error.code] ?? refusal.status };
}

/** The error for a request that is not as it must be. */
export function badRequest(message: string, options?: ErrorOptions): DomainError {
  return new DomainError('BAD_USER_INPUT', message, {}, options);
}
