import { tenantAsked } from '../access/tokens.ts';
import { actsFor, type Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse, validateUserUuid } from '../validate.ts';
import type { QuotaView } from './quotas.ts';

export interface QuotasRequest {
  /** Null or left out: the caller's. */
  readonly tenant?: string | null | undefined;
  /** Null or left out: the tenant, with all of its users. For the holder of a token for one user: that user. */
  readonly userUuid?: string | null | undefined;
}

/**
 * Every kind of quota of a tenant or a user, with its limit and its use. Empty for a user that the principal does not
 * act for.
 * @throws FORBIDDEN for another tenant, unless the caller is an operator; BAD_USER_INPUT
 */
export async function quotas(
  { quotas: inForce }: Pick<ServiceDeps, 'quotas'>,
  principal: Principal,
  request: QuotasRequest,
): Promise<readonly QuotaView[]> {
  const tenant = tenantAsked(principal, request.tenant, 'the quotas');
  const userUuid = userOf(principal, request.userUuid ?? null);
  if (userUuid !== null && !actsFor(principal, userUuid)) return [];
  return await inForce.views(tenant, userUuid);
}

function userOf({ users }: Principal, given: string | null): string | null {
  if (given !== null) return validateUserUuid(given);
  if (users === null) return null;
  if ('uuid' in users) return users.uuid;
  return refuse('userUuid', 'must name one of the users that the token is for', {});
}
