import type { RecordedEvent } from '../../domain/events.ts';
import { parseId, type WorkerId } from '../../domain/ids.ts';
import type { ListPage, PageRequest } from '../lists/page.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { streamPage } from './streamPage.ts';

/** The events of a worker. Null if there is no such worker in this installation. @throws BAD_USER_INPUT */
export async function workerEvents(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  _principal: Principal,
  workerId: string,
  request: PageRequest,
): Promise<ListPage<RecordedEvent> | null> {
  const id = parseId<WorkerId>(workerId);
  const worker = id === null ? null : await queries.worker(id);
  if (worker?.poolId !== pool.id) return null;
  return await streamPage(queries, 'worker', worker.id, request);
}
