import type { PoolStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../principal.ts';
import type { QuotaView } from '../quotas/quotas.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** What `/metrics` shows: all of this gateway and the pool, or only what one tenant does. */
export type MetricsView =
  | { readonly of: 'installation'; readonly pool: PoolStatus }
  | {
      readonly of: 'tenant';
      readonly openSessions: number;
      readonly waitingRequests: number;
      readonly queuedExecutions: number;
      readonly runningExecutions: number;
      readonly quotas: readonly QuotaView[];
    };

type MetricsDeps = Pick<ServiceDeps, 'pool' | 'sessions' | 'database' | 'quotas'>;

/** What the principal may know of all numbers at once. An operator knows all; others know those of their tenant. */
export async function metrics(
  { pool, sessions, database, quotas }: MetricsDeps,
  { role, tenant }: Principal,
): Promise<MetricsView> {
  if (role === 'OPERATOR') return { of: 'installation', pool: await pool.status() };
  const { queued, running } = await database.queries.unfinishedOfTenant(tenant);
  return {
    of: 'tenant',
    openSessions: sessions.count((session) => session.tenant === tenant),
    waitingRequests: await database.waiting.total(tenant),
    queuedExecutions: queued,
    runningExecutions: running,
    quotas: await quotas.views(tenant, null),
  };
}
