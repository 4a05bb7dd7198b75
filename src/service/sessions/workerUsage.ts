import type { WorkerUsage } from '../../domain/workerUsage.ts';
import { openSessionOf } from '../kernel/openSessionOf.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { workerAway } from './workerFeature.ts';

/**
 * What the worker of the user's open session uses now. The worker itself tells it, so a hostile one may tell anything.
 * Asking is no use of the session. Null: there is no open session.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING if the worker does not answer
 */
export async function workerUsage(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'pool'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<WorkerUsage | null> {
  const session = await openSessionOf(deps, { tenant, userUuid: validateUserUuid(userUuid) });
  const worker = session && (await deps.database.queries.worker(session.workerId));
  if (!worker) return null;
  try {
    return await deps.pool.usageOf(worker);
  } catch (error: unknown) {
    throw workerAway(error);
  }
}
