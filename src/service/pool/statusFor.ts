import type { VisibleStatus } from '../../domain/poolStatus.ts';
import { singleUser } from '../../domain/users.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/**
 * The status of the pool that the principal may see. An operator sees all of it. Everybody else sees the workers of the
 * sessions that they see, and the waiting calls of their tenant. They see nothing of other tenants.
 */
export async function statusFor(
  { pool, sessions, database, config, quotas }: StatusDeps,
  principal: Principal,
): Promise<VisibleStatus> {
  if (principal.role === 'OPERATOR') return await pool.status();
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

export type StatusDeps = Pick<ServiceDeps, 'pool' | 'sessions' | 'database' | 'config' | 'quotas'>;
