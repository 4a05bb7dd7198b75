import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/**
 * A secret that lets whoever shows it act for this one user, and open no session: for clients that put a secret where the
 * token of the caller must not be, such as in the URL of a file. It ends with the token. @throws BAD_USER_INPUT
 */
export function sessionKey(
  { sessionKeys }: Pick<ServiceDeps, 'sessionKeys'>,
  principal: Principal,
  userUuid: string,
): Promise<string> {
  return sessionKeys.keyTo(principal, validateUserUuid(userUuid));
}
