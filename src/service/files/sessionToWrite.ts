import type { Session } from '../../domain/session.ts';
import { untilInitialized } from '../execute/untilInitialized.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type EnsureSessionDeps, ensureSession } from '../sessions/opening/ensureSession.ts';
import type { SessionOwner } from '../sessions/opening/openingOf.ts';

export type SessionToWriteDeps = EnsureSessionDeps & Pick<ServiceDeps, 'config'>;

/**
 * The session for a call that writes a file: the user's open one, or a new one.
 * @param isAgain the session that was given before has changed
 * @throws POOL_INITIALIZING, POOL_EXHAUSTED, WORKER_START_FAILED
 */
export async function sessionToWrite(
  deps: SessionToWriteDeps,
  { tenant, userUuid }: SessionOwner,
  isAgain: boolean,
): Promise<Session> {
  await untilInitialized(deps.pool);
  if (isAgain) await deps.sessions.refresh(tenant, userUuid);
  return await ensureSession(deps, { tenant, userUuid }, deps.config.workerWaitTimeoutMs);
}
