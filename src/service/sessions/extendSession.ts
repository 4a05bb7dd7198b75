import { decideSession, type Session } from '../../domain/session.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid, validateWholeNumber } from '../validate.ts';

/**
 * Moves the end of the life of the user's open session to `lifeMs` from now: later or earlier than before. It may live
 * LONGEST_SESSION_LIFE_MS from its opening at most.
 * @throws BAD_USER_INPUT, NOT_FOUND
 */
export async function extendSession(
  { database: { queries, store }, config, now }: Pick<ServiceDeps, 'database' | 'config' | 'now'>,
  { tenant }: Principal,
  userUuid: string,
  lifeMs: number,
): Promise<Session> {
  validateUserUuid(userUuid);
  const longest = config.longestSessionLifeMs;
  validateWholeNumber('lifeMs', lifeMs, { min: 0, max: longest });
  const outcome = await decideAndCommit(store, {
    load: async () => {
      const session = await queries.openSession(tenant, userUuid);
      if (session === null) throw notFound('open session of user', userUuid);
      return session;
    },
    decide: (session) => {
      const at = now();
      const livedMs = at.getTime() - session.openedAt.getTime();
      // A session may live longer than this by the settings, and can always be made to end earlier.
      validateWholeNumber('lifeMs', lifeMs, { min: 0, max: Math.max(0, longest - livedMs) });
      const expiresAt = new Date(at.getTime() + lifeMs).toISOString();
      const command = { type: 'ChangeSessionLife', at: at.toISOString(), expiresAt } as const;
      const events = decideSession(command, session);
      return commitChanges({
        streams: [{ stream: 'session', id: session.id, state: session, events }],
      });
    },
  });
  if (outcome.type === 'refused') throw notFound('open session of user', userUuid);
  return outcome.committed.states[0] as Session;
}
