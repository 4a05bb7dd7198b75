import type { KernelFacts } from '../../domain/kernelQuestion.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { workerAway } from '../sessions/workerFeature.ts';
import { validateUserUuid } from '../validate.ts';
import { openSessionOf } from './openSessionOf.ts';

/**
 * The facts about the kernels of the user's open session. Each worker is asked only once, even while code runs. Null:
 * there is no open session, or its worker does not report them.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING if the worker does not answer
 */
export async function kernelInfo(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'pool'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<KernelFacts | null> {
  const session = await openSessionOf(deps, { tenant, userUuid: validateUserUuid(userUuid) });
  const worker = session && (await deps.database.queries.worker(session.workerId));
  if (!worker) return null;
  try {
    return await deps.pool.kernelFactsOf(worker);
  } catch (error: unknown) {
    throw workerAway(error);
  }
}
