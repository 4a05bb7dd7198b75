import type { PoolStatus } from '../../domain/poolStatus.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The pool at an earlier time. */
export interface PoolAt
  extends Pick<PoolStatus, 'totalWorkers' | 'busyWorkers' | 'idleWorkers' | 'startingWorkers'> {
  readonly at: Date;
  readonly workers: readonly Worker[];
}

/** The workers that existed at that time, from their events. Workers whose events were pruned are left out. */
export async function poolAt(
  { database, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  _principal: Principal,
  at: Date,
): Promise<PoolAt> {
  const workers = await database.queries.workersAt(pool.id, at);
  const count = (...states: Worker['state'][]) =>
    workers.filter(({ state }) => states.includes(state)).length;
  const startingWorkers = count('REQUESTED', 'STARTING');
  const idleWorkers = count('IDLE');
  const busyWorkers = count('ASSIGNED');
  const totalWorkers = startingWorkers + idleWorkers + busyWorkers;
  return { at, workers, startingWorkers, idleWorkers, busyWorkers, totalWorkers };
}
