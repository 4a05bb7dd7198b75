import type { Session } from '../../domain/session.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { commitOpening, type EnsureSessionDeps, inSession } from '../sessions/opening.ts';
import type { SessionOwner } from '../sessions/validateOptions.ts';

/**
 * The user's open session, or a new one, for a context. It counts as a use of the session.
 * @throws ConcurrencyError if another writer was first; SESSION_ENDED, POOL_EXHAUSTED, WORKER_START_FAILED
 */
export async function sessionForContexts(
  deps: EnsureSessionDeps,
  owner: SessionOwner,
  waitForWorkerMs: number,
): Promise<Session> {
  return await inSession(deps, owner, {
    open: async (session) => {
      if (!(await deps.sessionUses.use(session))) throw new ConcurrencyError('session');
      return session;
    },
    fresh: (opening) => commitOpening(deps, opening),
    adds: ['OPEN_SESSIONS'],
    waitForWorkerMs,
    options: null,
  });
}
