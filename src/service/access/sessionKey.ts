import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/**
 * The key to this user's session. The holder of the key acts for this user only, and cannot open a session. A client
 * uses the key where the token must not appear, such as in the URL of a file. The key ends with the caller's token.
 * @throws BAD_USER_INPUT
 */
export function sessionKey(
  { sessionKeys }: Pick<ServiceDeps, 'sessionKeys'>,
  principal: Principal,
  userUuid: string,
): Promise<string> {
  return sessionKeys.keyTo(principal, validateUserUuid(userUuid));
}
