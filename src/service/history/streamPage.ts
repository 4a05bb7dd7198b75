import type { RecordedEvent } from '../../domain/events.ts';
import { type ListPage, type PageRequest, parsePosition, readPage } from '../lists/page.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

export type StreamPageDeps = Pick<ServiceDeps, 'database' | 'requireSealed'>;

export interface Stream {
  readonly kind: 'worker' | 'session';
  readonly id: string;
}

/**
 * The events of one worker or session, in order. An operator sees all of them. Everybody else sees those of their
 * tenant: of a worker, the events since it got its session. Their positions are then their numbers among the tenant's
 * events.
 * @throws BAD_USER_INPUT; POOL_INITIALIZING
 */
export async function streamPage(
  { database, requireSealed }: StreamPageDeps,
  { role, tenant }: Principal,
  { kind, id }: Stream,
  request: PageRequest,
): Promise<ListPage<RecordedEvent>> {
  const { queries } = database;
  const isOperator = role === 'OPERATOR';
  if (!isOperator) await requireSealed();
  return await readPage(request, parsePosition, async (after, limit) => {
    const events = isOperator
      ? await queries.streamPage(kind, id, after ?? 0, limit)
      : await queries.tenantStreamPage(tenant, { kind, id }, after ?? 0, limit);
    return events.map((item) => ({ item, cursor: String(item.version) }));
  });
}
