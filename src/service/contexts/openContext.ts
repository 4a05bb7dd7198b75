import type { Context } from '../../domain/context.ts';
import type { DomainError } from '../../domain/errors.ts';
import { type ContextId, parseId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import { notFound } from '../notFound.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';

/** The id of a context in a request. @throws NOT_FOUND for text that cannot name one */
export function parseContextId(given: string | null | undefined): ContextId | null {
  if (given == null) return null;
  const id = parseId<ContextId>(given);
  if (id === null) throw noContext(given);
  return id;
}

/**
 * The open context that a request names in the user's open session. If it names one, `sessions` knows that session
 * afterwards. Null: the default context.
 * @throws NOT_FOUND if the context belongs to another session, has ended or is being deleted
 */
export async function contextNamed(
  { database, sessions }: Pick<ServiceDeps, 'database' | 'sessions'>,
  { tenant, userUuid }: SessionOwner,
  id: ContextId | null,
): Promise<Context | null> {
  if (id === null) return null;
  const isOfSession = (context: Context | undefined) => {
    const session = sessions.get(tenant, userUuid);
    return session !== null && (context?.sessionId === session.id || isDefaultOf(session, id));
  };
  const [context] = await database.queries.contexts([id]);
  // Another gateway may have opened the session just now.
  if (!isOfSession(context)) await sessions.refresh(tenant, userUuid);
  const isOpen = !context || context.status === 'STARTING' || context.status === 'READY';
  if (!isOpen || !isOfSession(context)) throw noContext(id);
  return context ?? null;
}

/** The default context has the id of its session. */
export function isDefaultOf(session: Session, id: string): boolean {
  return session.id === id;
}

/** The error for a request that names a context which is not open, or whose session is not open. */
export function noContext(id: string): DomainError {
  return notFound('open context', id);
}
