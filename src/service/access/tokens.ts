import type { UsedToken } from '../../domain/token.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** All tokens of all tenants, newest first, including revoked and expired ones. AUTH_TOKEN is not among them. */
export async function tokens(
  { database }: Pick<ServiceDeps, 'database'>,
  _principal: Principal,
): Promise<readonly UsedToken[]> {
  return await database.queries.tokens();
}
