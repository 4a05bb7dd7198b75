import { DomainError } from '../domain/errors.ts';

/** An error quotes the name, but not at any length. */
const MAX_QUOTED_CHARS = 200;

/** The error for a thing that does not exist, or that belongs to another tenant. */
export function notFound(what: string, name: string): DomainError {
  const quoted = JSON.stringify(name.slice(0, MAX_QUOTED_CHARS));
  return new DomainError('NOT_FOUND', `There is no ${what} ${quoted}.`);
}
