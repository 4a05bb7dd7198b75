import { z } from 'zod';
import { DomainError } from '../../../domain/errors.ts';

/** A field of a body. */
export const TEXT = z.string('must be a string.').nullish();

export function bad(message: string, options?: ErrorOptions): DomainError {
  return new DomainError('BAD_USER_INPUT', message, {}, options);
}
