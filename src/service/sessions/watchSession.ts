import type { Session } from '../../domain/session.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

export interface WatchedSession {
  readonly session: Session;
  /** Whether this gateway knows that the session has ended. */
  readonly hasEnded: boolean;
  /**
   * Calls the listener once, as soon as this gateway learns that the session has ended, at whichever gateway. Returns a
   * function that removes the listener.
   */
  onEnd(listener: () => void): () => void;
}

/**
 * The user's open session, and a notice of its end. If this gateway knows the session, nothing is read. So the session
 * may have ended a moment ago, and then the caller's next operation in it fails.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session
 */
export async function watchSession(
  { sessions }: Pick<ServiceDeps, 'sessions'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<WatchedSession> {
  validateUserUuid(userUuid);
  if (sessions.get(tenant, userUuid) === null) await sessions.refresh(tenant, userUuid);
  const session = sessions.get(tenant, userUuid);
  if (session === null) throw notFound('open session of user', userUuid);
  const hasEnded = () => sessions.get(tenant, userUuid)?.id !== session.id;
  return {
    session,
    get hasEnded() {
      return hasEnded();
    },
    onEnd: (listener) => {
      if (!hasEnded()) return sessions.onEnd(session.id, listener);
      listener();
      return () => {};
    },
  };
}
