import type { Session } from '../../domain/session.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/** The user's last session, open or closed. Null if the user never had one. */
export async function session(
  { database }: Pick<ServiceDeps, 'database'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<Session | null> {
  return await database.queries.lastSession(tenant, validateUserUuid(userUuid));
}
