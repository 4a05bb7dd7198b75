import { DomainError } from '../domain/errors.ts';
import { quoted } from '../domain/quoted.ts';

/** What a caller names and what is not there, or belongs to another tenant. */
export function notFound(what: string, name: string): DomainError {
  return new DomainError('NOT_FOUND', `There is no ${what} ${quoted(name)}.`);
}
