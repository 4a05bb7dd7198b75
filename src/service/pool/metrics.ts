import type { PoolStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../principal.ts';
import type { QuotaView } from '../quotas/quotas.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The numbers that `/metrics` shows: those of this gateway and the pool, or only those of one tenant. */
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

/** The numbers that the principal may see. An operator sees all of them; others see those of their tenant. */
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
