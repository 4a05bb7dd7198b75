/** Checks that several operations share. They throw BAD_USER_INPUT, with the field and the limit. */
import type { Config } from '../config/config.ts';
import { DomainError } from '../domain/errors.ts';

/** A UUID is recommended, but any name up to this length is accepted. */
const MAX_USER_UUID_CHARS = 128;

/** @param field the name of the argument @throws BAD_USER_INPUT */
export function validateUserUuid(userUuid: string, field = 'userUuid'): string {
  if (userUuid === '') refuse(field, 'must not be empty', { limit: MAX_USER_UUID_CHARS });
  validateName(field, userUuid, MAX_USER_UUID_CHARS);
  return userUuid;
}

/**
 * @param limit in UTF-16 units
 * @throws BAD_USER_INPUT for text that is too long, or that PostgreSQL's `text` refuses
 */
export function validateName(field: string, text: string, limit: number): void {
  if (text.length > limit) {
    refuse(field, `is ${text.length} characters, at most ${limit} are allowed`, { limit });
  }
  if (text.includes('\u0000')) refuse(field, 'must not contain U+0000', {});
  if (!text.isWellFormed()) refuse(field, 'must not contain lone surrogates', {});
}

/** @param max null: no maximum @throws BAD_USER_INPUT */
export function validateNumber(
  field: string,
  value: number,
  { min, max }: { readonly min: number; readonly max: number | null },
): number {
  if (value >= min && value <= (max ?? value)) return value;
  if (max === null) return refuse(field, `is ${value}, but must be at least ${min}`, { min });
  return refuse(field, `is ${value}, but must be from ${min} to ${max}`, { limit: max });
}

/** The same for a number that must not have a fraction. @throws BAD_USER_INPUT */
export function validateWholeNumber(
  field: string,
  value: number,
  range: { readonly min: number; readonly max: number | null },
): number {
  if (!Number.isInteger(value)) refuse(field, `is ${value}, but must be a whole number`, {});
  return validateNumber(field, value, range);
}

/** How long a call waits for a worker. Null or left out: the maximum. @throws BAD_USER_INPUT */
export function validateWait(
  waitMs: number | null | undefined,
  { workerWaitTimeoutMs: max }: Pick<Config, 'workerWaitTimeoutMs'>,
): number {
  return validateNumber('waitForWorkerMs', waitMs ?? max, { min: 0, max });
}

/** @throws BAD_USER_INPUT, with `details` beside the field */
export function refuse(
  field: string,
  what: string,
  details: Readonly<Record<string, unknown>>,
): never {
  throw new DomainError('BAD_USER_INPUT', `${field} ${what}.`, { field, ...details });
}
