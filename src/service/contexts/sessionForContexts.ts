import type { Session } from '../../domain/session.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { requireOfClaimed } from '../sessions/opening/claimedWorker.ts';
import { commitOpening, type EnsureSessionDeps } from '../sessions/opening/ensureSession.ts';
import { inSession } from '../sessions/opening/inSession.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';
import { hasFeature, lacksFeature } from '../sessions/workerFeature.ts';

/**
 * The user's open session, or a new one, for a context. Its worker has contexts. It counts as a use of the session.
 * @throws ConcurrencyError if another writer was first; BAD_USER_INPUT if the open session's worker, or the worker image,
 * is too old; POOL_INITIALIZING if the worker could not be asked; SESSION_ENDED, POOL_EXHAUSTED, WORKER_START_FAILED
 */
export async function sessionForContexts(
  deps: EnsureSessionDeps,
  owner: SessionOwner,
  waitForWorkerMs: number,
): Promise<Session> {
  const { database, sessionUses } = deps;
  return await inSession(deps, owner, {
    open: async (session) => {
      if (!(await sessionUses.use(session))) throw new ConcurrencyError('session');
      const worker = await database.queries.worker(session.workerId);
      if (!worker || !(await hasFeature(deps, worker, 'contexts'))) throw lacksFeature('contexts');
      return session;
    },
    fresh: async (opening) => {
      await requireOfClaimed(deps, opening.worker, ['contexts']);
      return await commitOpening(deps, opening);
    },
    adds: ['OPEN_SESSIONS'],
    waitForWorkerMs,
    options: null,
  });
}
