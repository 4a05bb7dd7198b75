import { DomainError } from '../../domain/errors.ts';
import { notFound } from '../notFound.ts';
import { actsFor, type Principal } from '../principal.ts';
import type { Permission } from './permissions.ts';

/** What to answer without calling the operation. */
export interface Instead {
  readonly answer: null | readonly [];
}

/**
 * Null if the principal may make this call. Otherwise the answer that it gets instead.
 * @throws DomainError FORBIDDEN if the role may not call the operation; NOT_FOUND for a user that the principal does
 * not act for
 */
export function insteadOf(
  name: string,
  { roles, user, others }: Permission,
  principal: Principal,
  args: readonly never[],
): Instead | null {
  if (!roles.includes(principal.role)) {
    throw new DomainError(
      'FORBIDDEN',
      `A token with the role ${principal.role} may not call ${name}. Use one of another role.`,
    );
  }
  if (user === undefined) return null;
  const userUuid = user(...args);
  if (actsFor(principal, userUuid)) return null;
  if (others === undefined) throw notFound('user', userUuid);
  return { answer: others };
}
