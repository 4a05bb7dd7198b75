import { DomainError } from '../../domain/errors.ts';
import { secretHash } from '../../domain/secretHash.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateNumber } from '../validate.ts';
import { changeToken } from './changeToken.ts';
import type { TokenWithSecret } from './createToken.ts';

const MS_PER_DAY = 86_400_000;
/** How long a former secret may stay valid, at most. */
const MAX_FORMER_VALID_MS = 30 * MS_PER_DAY;

/**
 * Gives a token another secret. The former one is valid for another `formerValidMs`.
 * @throws BAD_USER_INPUT, also if the token is revoked; NOT_FOUND
 */
export async function rotateToken(
  deps: Pick<ServiceDeps, 'database' | 'newSecret' | 'now'>,
  _principal: Principal,
  tokenId: string,
  formerValidMs: number,
): Promise<TokenWithSecret> {
  validateNumber('formerValidMs', formerValidMs, { min: 0, max: MAX_FORMER_VALID_MS });
  const secret = deps.newSecret();
  const token = await changeToken(deps, tokenId, ({ revokedAt }) => {
    if (revokedAt !== null) {
      throw new DomainError('BAD_USER_INPUT', 'This token is revoked. Create another one.', {
        field: 'id',
      });
    }
    const at = deps.now();
    const formerUntil = new Date(at.getTime() + formerValidMs).toISOString();
    const secretSha256 = secretHash(secret);
    return { type: 'RotateToken', at: at.toISOString(), secretSha256, formerUntil };
  });
  return { token, secret };
}
