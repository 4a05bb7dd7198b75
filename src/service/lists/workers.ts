import type { Worker } from '../../domain/worker.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type ListPage, type PageRequest, parseIdCursor, readPage } from './page.ts';

export interface WorkerFilter {
  readonly states?: readonly Worker['state'][] | null | undefined;
}

/**
 * The workers of this installation, the last requested first. Everybody but an operator sees those that have a session
 * of their tenant, or had one.
 * @throws BAD_USER_INPUT
 */
export async function workers(
  { database, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  { role, tenant }: Principal,
  { states }: WorkerFilter,
  request: PageRequest,
): Promise<ListPage<Worker>> {
  const filter = {
    poolId: pool.id,
    states: states ?? null,
    tenant: role === 'OPERATOR' ? null : tenant,
  };
  return await readPage(request, parseIdCursor, (before, limit) =>
    database.queries.workerPage(filter, before, limit),
  );
}
