import { DomainError } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';

/** The error for a thing that does not exist, or that belongs to another tenant. */
export function notFound(what: string, name: string): DomainError {
  return new DomainError('NOT_FOUND', `There is no ${what} ${quoted(name)}.`);
}
