import type { Session } from '../../domain/session.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';

/** The user's open session, from memory if this gateway knows it. Null: there is none. */
export async function openSessionOf(
  { sessions }: Pick<ServiceDeps, 'sessions'>,
  { tenant, userUuid }: SessionOwner,
): Promise<Session | null> {
  const known = sessions.get(tenant, userUuid);
  if (known) return known;
  // Another gateway may have opened it just now.
  await sessions.refresh(tenant, userUuid);
  return sessions.get(tenant, userUuid);
}
