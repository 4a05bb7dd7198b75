import { endedWithOptions, type Session } from '../../domain/session.ts';
import { actorOf } from '../access/actorDeps.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/**
 * Ends the user's session and its worker. Null if the user had no open session. If the last one had options and has
 * ended, the user accepts that: the next call opens a session without options.
 */
export async function release(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  principal: Principal,
  userUuid: string,
): Promise<Session | null> {
  const session = await queries.lastSession(principal.tenant, validateUserUuid(userUuid));
  if (session === null) return null;
  if (session.closedAt === null)
    return await pool.closeSession(session, 'released', actorOf(principal));
  if (endedWithOptions(session)) await queries.acceptEnd(session.id);
  return null;
}
