import type { RecordedEvent } from '../../domain/events.ts';
import { parseId, type WorkerId } from '../../domain/ids.ts';
import type { ListPage, PageRequest } from '../lists/page.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type StreamPageDeps, streamPage } from './streamPage.ts';

/**
 * The events of a worker. Null if there is no such worker in this installation, or if it has had no session that the
 * principal sees.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function workerEvents(
  deps: StreamPageDeps & Pick<ServiceDeps, 'pool'>,
  principal: Principal,
  workerId: string,
  request: PageRequest,
): Promise<ListPage<RecordedEvent> | null> {
  const { database, pool } = deps;
  const id = parseId<WorkerId>(workerId);
  const worker = id === null ? null : await database.queries.worker(id);
  if (worker?.poolId !== pool.id) return null;
  if (principal.role !== 'OPERATOR') {
    const session = worker.sessionId && (await database.queries.session(worker.sessionId));
    if (!session || !sees(principal, session)) return null;
  }
  return await streamPage(deps, principal, { kind: 'worker', id: worker.id }, request);
}
