import { DomainError } from '../../domain/errors.ts';
import type { Principal } from '../principal.ts';
import { validateWord } from './validateToken.ts';

/**
 * The tenant that a call asks for. If the call names no tenant, it is the caller's.
 * @param what what is asked for, such as `the quotas`
 * @throws FORBIDDEN for another tenant, unless the caller is an operator; BAD_USER_INPUT
 */
export function tenantAsked(
  { role, tenant }: Principal,
  asked: string | null | undefined,
  what: string,
): string {
  if (asked == null) return tenant;
  const named = validateWord('tenant', asked);
  if (role === 'OPERATOR' || named === tenant) return named;
  throw new DomainError('FORBIDDEN', `Only operators see ${what} of other tenants.`);
}
