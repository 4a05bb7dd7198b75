import type { UsedToken } from '../../domain/token.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** All tokens of all tenants, those that let nobody in any more included, the newest first. AUTH_TOKEN is none of them. */
export async function tokens(
  { database }: Pick<ServiceDeps, 'database'>,
  _principal: Principal,
): Promise<readonly UsedToken[]> {
  return await database.queries.tokens();
}
