import type { WorkerUsage } from '../../domain/workerUsage.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { workerAway } from './workerFeature.ts';

/**
 * The resources that the worker of the user's open session uses now. The worker reports them itself, so a hostile one
 * may report anything. The call does not count as a use of the session. Null: there is no open session.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING if the worker does not answer
 */
export async function workerUsage(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<WorkerUsage | null> {
  const session = await queries.openSession(tenant, validateUserUuid(userUuid));
  const worker = session && (await queries.worker(session.workerId));
  if (!worker) return null;
  try {
    return await pool.usageOf(worker);
  } catch (error: unknown) {
    throw workerAway(error);
  }
}
