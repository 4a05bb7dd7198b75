import type { Environment } from '../../domain/environment.ts';
import type { EnvironmentId } from '../../domain/ids.ts';
import type { EnvironmentWorkers, WorkerNumbers } from '../../domain/poolStatus.ts';
import type { Worker } from '../../domain/worker.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The pool at an earlier time. */
export interface PoolAt extends WorkerNumbers {
  readonly at: Date;
  readonly workers: readonly Worker[];
  /** The numbers of workers of each version of an environment. A version without workers is absent. */
  readonly environments: readonly EnvironmentWorkers[];
}

/** The workers that existed at that time, from their events. Workers whose events were pruned are left out. */
export async function poolAt(
  { database: { queries }, pool }: Pick<ServiceDeps, 'database' | 'pool'>,
  _principal: Principal,
  at: Date,
): Promise<PoolAt> {
  const workers = await queries.workersAt(pool.id, at);
  const ids = new Set(workers.flatMap(({ environmentId: id }) => (id === null ? [] : [id])));
  const versions = await queries.environmentVersions([...ids]);
  const environments = versions.flatMap((version) =>
    version === null ? [] : [{ ...nameOf(version), ...numbersOf(workers, version.id) }],
  );
  return { at, workers, environments: environments.filter(hasAny), ...numbersOf(workers) };
}

function nameOf({ id, name, number }: Environment) {
  return { environmentId: id, name, version: number };
}

function hasAny({ totalWorkers }: WorkerNumbers): boolean {
  return totalWorkers > 0;
}

/** @param environmentId left out: all workers, whatever their environment */
function numbersOf(workers: readonly Worker[], environmentId?: EnvironmentId): WorkerNumbers {
  const count = (...states: Worker['state'][]) =>
    workers.filter(
      (worker) =>
        states.includes(worker.state) &&
        (environmentId === undefined || worker.environmentId === environmentId),
    ).length;
  const startingWorkers = count('REQUESTED', 'STARTING');
  const idleWorkers = count('IDLE');
  const busyWorkers = count('ASSIGNED');
  const totalWorkers = startingWorkers + idleWorkers + busyWorkers;
  return { startingWorkers, idleWorkers, busyWorkers, totalWorkers };
}
