import type { Session } from '../../domain/session.ts';
import { requestKernelRestart } from '../execute/requestKernelRestart.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/** Replaces the kernel of the user's open session. @throws NOT_FOUND, POOL_INITIALIZING */
export async function restartKernel(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<Session> {
  const session = await deps.database.queries.openSession(tenant, validateUserUuid(userUuid));
  const restarted = session && (await requestKernelRestart(deps, session));
  if (!restarted) throw notFound('open session of user', userUuid);
  return restarted;
}
