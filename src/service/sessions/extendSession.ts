import { decideSession, expiryOf, type Session } from '../../domain/session.ts';
import { decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid, validateWholeNumber } from '../validate.ts';

type Deps = Pick<ServiceDeps, 'database' | 'config' | 'now'>;

/**
 * Moves the end of the life of the user's open session to `lifeMs` from now: later or earlier than before. A session
 * may live at most LONGEST_SESSION_LIFE_MS from its opening.
 * @throws BAD_USER_INPUT, NOT_FOUND
 */
export async function extendSession(
  deps: Deps,
  principal: Principal,
  userUuid: string,
  lifeMs: number,
): Promise<Session> {
  const longest = deps.config.longestSessionLifeMs;
  return await changeLife(deps, principal, { userUuid, lifeMs }, (session, at) => {
    const livedMs = at.getTime() - session.openedAt.getTime();
    // The settings may allow a session a longer life than this. Its end can always be moved to now.
    validateWholeNumber('lifeMs', lifeMs, { min: 0, max: Math.max(0, longest - livedMs) });
    return new Date(at.getTime() + lifeMs);
  });
}

/**
 * Makes the user's open session live for at least `lifeMs` from now, but at most LONGEST_SESSION_LIFE_MS from its
 * opening. Never moves its end to an earlier time.
 * @throws BAD_USER_INPUT, NOT_FOUND
 */
export async function prolongSession(
  deps: Deps,
  principal: Principal,
  userUuid: string,
  lifeMs: number,
): Promise<Session> {
  const { longestSessionLifeMs: longest, sessionMaxLifeMs } = deps.config;
  return await changeLife(deps, principal, { userUuid, lifeMs }, (session, at) => {
    const latest = session.openedAt.getTime() + longest;
    const wanted = new Date(Math.min(at.getTime() + lifeMs, latest));
    return wanted > expiryOf(session, sessionMaxLifeMs) ? wanted : null;
  });
}

/** @param endOf returns the new end of the session's life. Null: unchanged. Pure */
async function changeLife(
  { database: { queries, store }, config, now }: Deps,
  { tenant }: Principal,
  { userUuid, lifeMs }: { readonly userUuid: string; readonly lifeMs: number },
  endOf: (session: Session, at: Date) => Date | null,
): Promise<Session> {
  validateUserUuid(userUuid);
  validateWholeNumber('lifeMs', lifeMs, { min: 0, max: config.longestSessionLifeMs });
  const outcome = await decideAndCommit<Session, Session>(store, {
    load: async () => {
      const session = await queries.openSession(tenant, userUuid);
      if (session === null) throw notFound('open session of user', userUuid);
      return session;
    },
    decide: (session) => {
      const at = now();
      const end = endOf(session, at);
      if (end === null) return { type: 'refuse', refusal: session };
      const command = { type: 'ChangeSessionLife', at: at.toISOString() } as const;
      const events = decideSession({ ...command, expiresAt: end.toISOString() }, session);
      const append = { stream: 'session', id: session.id, state: session, events } as const;
      return { type: 'commit', commit: { streams: [append] } };
    },
  });
  return outcome.type === 'refused' ? outcome.refusal : (outcome.committed.states[0] as Session);
}
