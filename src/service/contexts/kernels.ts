import { both, type Users } from '../../domain/users.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type KernelView, kernelViews } from './kernelView.ts';

/** The most sessions that are read. Each holds a worker, so an installation has fewer. */
const MAX_SESSIONS = 1_000;

/** The open contexts of these users, the default one of each session first. */
export async function kernels(
  deps: Pick<ServiceDeps, 'database'>,
  { tenant, users: own }: Principal,
  asked: Users,
): Promise<KernelView[]> {
  const users = own === null ? asked : both(own, asked);
  if (users === null) return [];
  const { queries } = deps.database;
  const any = { userUuid: null, from: null, environment: null, metadata: null };
  const range = { isOldestFirst: false, after: null, limit: MAX_SESSIONS };
  const placed = await queries.sessionPage({ tenant, users, isOpen: true, ...any }, range);
  const sessions = placed.map(({ item }) => item);
  const contexts = await queries.openContexts(sessions.map(({ id }) => id));
  const open = sessions.flatMap((session) => [
    { session, context: null },
    ...contexts
      .filter(({ sessionId, status }) => sessionId === session.id && status !== 'ENDING')
      .map((context) => ({ session, context })),
  ]);
  return await kernelViews(deps, open);
}
