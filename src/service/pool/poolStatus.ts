/** The pool as callers see it: the numbers of workers, now or as they change, and the numbers of `/metrics`. */
import { within } from '../../async/within.ts';
import type { PoolDegradation, PoolStatus, VisibleStatus } from '../../domain/poolStatus.ts';
import { singleUser } from '../../domain/users.ts';
import { DatabaseAwayError } from '../../events/store/eventStore.ts';
import { pullIterator } from '../output/sharedOutput.ts';
import { type Principal, sees, seesAllTenants } from '../principal.ts';
import type { QuotaView } from '../quotas/quotas.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/**
 * The status of the pool that the principal may see. An operator sees all of it. Everybody else sees the workers of the
 * sessions that they see, and the waiting calls of their tenant. They see nothing of other tenants.
 */
export async function poolStatus(
  { pool, sessions, database, config, quotas }: StatusDeps,
  principal: Principal,
): Promise<VisibleStatus> {
  if (seesAllTenants(principal)) return await pool.status();
  const { tenant, users } = principal;
  const userUuid = singleUser(users);
  const mostSessions = quotas.limit('OPEN_SESSIONS', tenant, userUuid) ?? config.maxTotalWorkers;
  const own = sessions.count((session) => sees(principal, session));
  return {
    totalWorkers: own,
    busyWorkers: own,
    idleWorkers: 0,
    startingWorkers: 0,
    waitingRequests: await database.waiting.total(tenant),
    environments: null,
    minIdleWorkers: null,
    minIdleEnvironmentWorkers: null,
    maxTotalWorkers: Math.min(mostSessions, config.maxTotalWorkers),
    isInitializing: pool.isInitializing,
    degradation: pool.degradation,
  };
}

/**
 * The status that the principal may see: the present one, and then a new one after each change. A slow reader misses
 * intermediate states, but never the latest.
 */
export function followPoolStatus(
  deps: StatusDeps,
  principal: Principal,
): AsyncIterableIterator<VisibleStatus> {
  let sent = '';
  return pullIterator({
    read: async () => {
      await principal.tokenEnd.fresh();
      const status = await poolStatus(deps, principal);
      const text = JSON.stringify(status);
      if (text === sent) return { items: [], isEnd: false };
      sent = text;
      return { items: [status], isEnd: false };
    },
    onWake: (wake) => deps.pool.onChange(wake),
  });
}

type StatusDeps = Pick<ServiceDeps, 'pool' | 'sessions' | 'database' | 'config' | 'quotas'>;

/** The numbers that `/metrics` shows: those of this gateway and the pool, or only those of one tenant. */
export type MetricsView =
  | {
      readonly of: 'installation';
      /** Null: the database is away, or has not answered within {@link DATABASE_LIMIT_MS}. */
      readonly pool: PoolStatus | null;
      readonly degradation: PoolDegradation | null;
    }
  | {
      readonly of: 'tenant';
      readonly openSessions: number;
      readonly waitingRequests: number;
      readonly queuedExecutions: number;
      readonly runningExecutions: number;
      readonly quotas: readonly QuotaView[];
    };

/**
 * How long `/metrics` waits for the database. Without this limit, Prometheus would get nothing while the database is
 * away: it waits for 10 s, and queries are repeated for 30 s.
 */
const DATABASE_LIMIT_MS = 2_000;

type MetricsDeps = Pick<ServiceDeps, 'pool' | 'sessions' | 'database' | 'quotas'>;

/** The numbers that the principal may see. An operator sees all of them; others see those of their tenant. */
export async function metrics(
  { pool, sessions, database, quotas }: MetricsDeps,
  principal: Principal,
): Promise<MetricsView> {
  const { tenant } = principal;
  if (seesAllTenants(principal)) {
    const status = pool.status().catch(nullIfAway);
    return {
      of: 'installation',
      pool: await within(DATABASE_LIMIT_MS, status, () => null),
      degradation: pool.degradation,
    };
  }
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

function nullIfAway(error: unknown): null {
  if (error instanceof DatabaseAwayError) return null;
  throw error;
}
