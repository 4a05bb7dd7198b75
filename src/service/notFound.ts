import { DomainError } from '../domain/errors.ts';

/** A name in an error is no echo of a whole body. */
const MAX_QUOTED_CHARS = 200;

/** What a caller names and what is not there, or belongs to another tenant. */
export function notFound(what: string, name: string): DomainError {
  const quoted = JSON.stringify(name.slice(0, MAX_QUOTED_CHARS));
  return new DomainError('NOT_FOUND', `There is no ${what} ${quoted}.`);
}
