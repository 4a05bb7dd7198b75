import type { Session } from '../../domain/session.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

export interface WatchedSession {
  readonly session: Session;
  /** Whether this gateway has heard that it has ended. */
  readonly hasEnded: boolean;
  /** Calls the listener once, as soon as this gateway hears of its end at whatever gateway. Returns a function that takes it back. */
  onEnd(listener: () => void): () => void;
}

/**
 * The user's open session, and news of its end. Costs no read if this gateway knows the session, so it may have ended a
 * moment ago: what is done in it then fails. @throws BAD_USER_INPUT, NOT_FOUND without an open session
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
