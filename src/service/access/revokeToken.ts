import type { UsedToken } from '../../domain/token.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { changeToken } from './changeToken.ts';

/**
 * Revokes a token: within a second, every gateway refuses it. Does nothing if it is revoked already.
 * @throws NOT_FOUND
 */
export async function revokeToken(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  _principal: Principal,
  tokenId: string,
): Promise<UsedToken> {
  return await changeToken(deps, tokenId, () => ({
    ...{ type: 'RevokeToken', at: deps.now().toISOString(), reason: 'revoked' },
  }));
}
