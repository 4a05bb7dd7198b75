import { DomainError } from '../../domain/errors.ts';
import { notFound } from '../notFound.ts';
import { actsFor, type Principal } from '../principal.ts';
import type { Permission } from './permissions.ts';

/** What to answer without calling the operation. */
export interface Instead {
  readonly answer: null | readonly [];
}

/**
 * Whether the principal may make this call: null if so, else the answer that it gets.
 * @throws DomainError FORBIDDEN if the role may not call the operation; NOT_FOUND for another's user
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
