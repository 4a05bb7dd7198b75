import type { Session } from '../../domain/session.ts';
import { requireSession, type SessionFilesDeps } from '../files/sessionFiles.ts';
import type { Principal } from '../principal.ts';
import { hasFeature, lacksFeature } from '../sessions/workerFeature.ts';

/**
 * The user's open session, whose worker has watchers.
 * @throws NOT_FOUND without an open session; BAD_USER_INPUT if the worker is too old; POOL_INITIALIZING if the worker
 * could not be asked
 */
export async function sessionToWatch(
  deps: SessionFilesDeps,
  principal: Principal,
  userUuid: string,
): Promise<Session> {
  const session = await requireSession(deps, principal, userUuid);
  const worker = await deps.database.queries.worker(session.workerId);
  if (!worker || !(await hasFeature(deps, worker, 'watchers'))) throw lacksFeature('watchers');
  return session;
}
