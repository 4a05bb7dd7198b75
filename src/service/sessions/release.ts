import type { Session } from '../../domain/session.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/** Ends the user's session and its worker. Null if the user had no open session. */
export async function release(
  { database, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<Session | null> {
  const session = await database.queries.openSession(tenant, validateUserUuid(userUuid));
  return session === null ? null : await pool.closeSession(session, 'released');
}
