import type { Session } from '../../domain/session.ts';
import { contextNamed, parseContextId } from '../contexts/openContext.ts';
import { requestContextRestart } from '../contexts/requestContextRestart.ts';
import { requestKernelRestart } from '../execute/requestKernelRestart.ts';
import { notFound } from '../notFound.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';

/**
 * Replaces a kernel of the user's open session.
 * @param contextId whose kernel. Null or left out: that of the default context
 * @throws NOT_FOUND, POOL_INITIALIZING
 */
export async function restartKernel(
  deps: Pick<ServiceDeps, 'database' | 'sessions' | 'now'>,
  { tenant }: Principal,
  userUuid: string,
  contextId?: string | null,
): Promise<Session> {
  const owner = { tenant, userUuid: validateUserUuid(userUuid) };
  const session = await deps.database.queries.openSession(tenant, userUuid);
  if (session === null) throw notFound('open session of user', userUuid);
  const context = await contextNamed(deps, owner, parseContextId(contextId));
  if (context) {
    await requestContextRestart(deps, context);
    return session;
  }
  const restarted = await requestKernelRestart(deps, session);
  if (!restarted) throw notFound('open session of user', userUuid);
  return restarted;
}
