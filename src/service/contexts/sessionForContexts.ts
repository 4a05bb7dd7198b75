import { DomainError } from '../../domain/errors.ts';
import type { Session } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import { ConcurrencyError } from '../../events/store/eventStore.ts';
import { commitOpening, type EnsureSessionDeps } from '../sessions/opening/ensureSession.ts';
import { inSession } from '../sessions/opening/inSession.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';

const RETRY_AFTER_MS = 1_000;

/**
 * The user's open session, or a new one, for a context. Its worker has contexts. It counts as a use of the session.
 * @throws ConcurrencyError if another writer was first; BAD_USER_INPUT if the open session's worker is too old;
 * POOL_INITIALIZING if the worker could not be asked; SESSION_ENDED, POOL_EXHAUSTED, WORKER_START_FAILED
 */
export async function sessionForContexts(
  deps: EnsureSessionDeps,
  owner: SessionOwner,
  waitForWorkerMs: number,
): Promise<Session> {
  const { database, pool, sessionUses } = deps;
  return await inSession(deps, owner, {
    open: async (session) => {
      if (!(await sessionUses.use(session))) throw new ConcurrencyError('session');
      const worker = await database.queries.worker(session.workerId);
      if (!worker || !(await hasContexts(deps, worker))) throw tooOld();
      return session;
    },
    fresh: async (opening) => {
      if (await hasContexts(deps, opening.worker)) return await commitOpening(deps, opening);
      // An idle worker of an earlier release: another one takes its place.
      await pool.retireIdle(opening.worker);
      throw new ConcurrencyError('stream');
    },
    waitForWorkerMs,
    options: null,
  });
}

async function hasContexts({ pool }: EnsureSessionDeps, worker: Worker): Promise<boolean> {
  try {
    return (await pool.featuresOf(worker)).has('contexts');
  } catch (error: unknown) {
    throw new DomainError(
      'POOL_INITIALIZING',
      "The session's worker does not answer now. Nothing was changed. Send the request again.",
      { retryAfterMs: RETRY_AFTER_MS },
      { cause: error },
    );
  }
}

function tooOld(): DomainError {
  return new DomainError(
    'BAD_USER_INPUT',
    'The worker of this session was made by an earlier release, without contexts. `release` the session. The next one has them, unless WORKER_IMAGE names an image of that release.',
    { field: 'userUuid' },
  );
}
