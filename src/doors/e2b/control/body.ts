/** Parts of the bodies of the API. */
import { z } from 'zod';
import { DomainError } from '../../../domain/errors.ts';

export const FLAG = z.boolean('must be true or false.').nullish();
export const SECONDS = z.int('must be a whole number of seconds.').nullish();

export function refuse(message: string): never {
  throw new DomainError('BAD_USER_INPUT', message, {});
}
