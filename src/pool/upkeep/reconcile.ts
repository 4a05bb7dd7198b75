/**
 * Makes recorded workers and existing containers agree, at the start and on a timer:
 *
 * | recorded | container | then |
 * |---|---|---|
 * | REQUESTED, STARTING, and a live gateway is making it | any or none | left to that gateway |
 * | REQUESTED | any or none | lost (create-failed), removed |
 * | STARTING | alive, or the engine is away | brought up |
 * | IDLE, ASSIGNED | alive | adopted, if no live gateway acts for it |
 * | IDLE, adopted, under another OCI runtime | alive | recycled, because DOCKER_RUNTIME was changed |
 * | STARTING, IDLE, ASSIGNED | dead or gone | lost, its session closed, its executions ended |
 * | RETIRED, LOST | any or none | settled: whatever is left is removed |
 * | none, REMOVED | any | the container is a stranger, although it has this pool's label: removed |
 *
 * The maker of a worker is the gateway that makes it. The maker takes the worker's lease before it records the request.
 * So if another gateway can take that lease, the maker is gone. Containers without this pool's label are never touched.
 */
import type { Logger } from 'pino';
import type { PoolId, WorkerId } from '../../domain/ids.ts';
import { isLive, type Worker } from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import { isEngineAway, type ListedWorker, type Runtime } from '../../runtime/runtime.ts';
import type { HeldWorkers } from '../../worker/heldWorkers.ts';
import {
  type EndWorkerDeps,
  endWorker,
  loseIfEnded,
  loss,
  RECYCLED,
  settleWorker,
  UNSETTLED_STATES,
} from '../endWorker.ts';

export interface ReconcileDeps extends EndWorkerDeps {
  readonly logger: Logger;
  /** Whether this process is making the worker. Such a worker is left alone. */
  readonly isInTheMaking: (id: WorkerId) => boolean;
  /** Awaits a started worker whose maker is gone. */
  readonly bringUp: (worker: Worker) => void;
}

export async function reconcile(deps: ReconcileDeps): Promise<void> {
  const { queries } = deps.database;
  // Containers are listed before workers are read. A worker is recorded before its container exists, so a listed
  // container without a recorded worker is a stranger.
  const containers = await deps.runtime.list(deps.poolId);
  const workers = await queries.workersInStates(deps.poolId, UNSETTLED_STATES);
  const byWorker = new Map(containers.map((container) => [container.workerId, container]));
  const known = new Set(workers.map(({ id }) => id));
  const outcomes = await Promise.allSettled([
    ...workers.map((worker) => reconcileWorker(deps, worker, byWorker.get(worker.id) ?? null)),
    ...containers
      .filter(({ workerId }) => workerId === null || !known.has(workerId))
      .map((container) => removeStranger(deps, container)),
  ]);
  const failures = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  if (failures.length > 0)
    throw new AggregateError(failures, 'Some workers could not be reconciled.');
}

/** @param container null if there is none, or if the engine was not asked */
export async function reconcileWorker(
  deps: ReconcileDeps,
  worker: Worker,
  container: ListedWorker | null,
): Promise<void> {
  if (deps.isInTheMaking(worker.id)) return;
  switch (worker.state) {
    case 'REQUESTED':
      return await reconcileRequested(deps, worker, container);
    case 'STARTING':
      return await reconcileStarting(deps, worker);
    case 'IDLE':
    case 'ASSIGNED':
      return await reconcileLive(deps, worker, container);
    case 'RETIRED':
    case 'LOST':
      return await settleWorker(deps, {
        ...worker,
        containerId: worker.containerId ?? container?.containerId ?? null,
      });
    case 'REMOVED':
      return;
    default:
      return worker.state satisfies never;
  }
}

async function reconcileRequested(
  deps: ReconcileDeps,
  worker: Worker,
  container: ListedWorker | null,
): Promise<void> {
  const { leases } = deps.database;
  if ((await leases.acquireWorker(worker.id)) === null) return;
  const detail = 'The gateway that made it ended before its container was recorded.';
  const found = { ...worker, containerId: container?.containerId ?? null };
  await endWorker(deps, found, loss('create-failed', detail));
  // If the maker was only slow and the worker is alive by now, `endWorker` has recorded nothing. Then a gateway that
  // finds the worker without a lease adopts it.
  await leases.releaseWorker(worker.id);
}

async function reconcileStarting(deps: ReconcileDeps, worker: Worker): Promise<void> {
  if ((await deps.database.leases.acquireWorker(worker.id)) === null) return;
  const isOver = await loseIfEnded(deps, worker).catch((error: unknown) => {
    // The engine is away, so the worker counts as alive: its socket will show whether that is true. Only this gateway
    // may bring the worker up, because it has the lease.
    if (isEngineAway(error)) return false;
    throw error;
  });
  if (!isOver) deps.bringUp(worker);
}

async function reconcileLive(
  deps: ReconcileDeps,
  worker: Worker,
  container: ListedWorker | null,
): Promise<void> {
  // A container that was listed as running is not inspected again, because the engine would report its end.
  if (!container?.isRunning && (await loseIfEnded(deps, worker))) return;
  const held = await deps.heldWorkers.adopt(worker);
  // The agent was found unreachable before, but the loss could not be recorded then.
  if (held?.isSuspect)
    await endWorker(deps, worker, loss('unreachable', 'Its agent does not answer.'));
  else if (held && isOutdated(deps, worker)) await endWorker(deps, worker, RECYCLED);
}

/**
 * Whether nobody uses the worker, and it runs under another OCI runtime than this gateway's workers. After a change of
 * DOCKER_RUNTIME to gVisor, no stranger may get a worker without it.
 */
function isOutdated({ runtime }: Pick<EndWorkerDeps, 'runtime'>, worker: Worker): boolean {
  return worker.state === 'IDLE' && worker.runtime !== runtime.name;
}

async function removeStranger(
  deps: ReconcileDeps,
  { containerId, workerId }: ListedWorker,
): Promise<void> {
  // The worker may have been recorded or removed since the first read, so it is read again.
  const worker = workerId === null ? null : await deps.database.queries.worker(workerId);
  if (worker && worker.state !== 'REMOVED') return;
  deps.logger.warn(
    { containerId, workerId },
    'removing a container that has the label of this pool but belongs to no recorded worker',
  );
  await deps.runtime.remove({ poolId: deps.poolId, workerId, containerId });
}

interface AdoptLiveDeps {
  readonly database: Database;
  readonly heldWorkers: HeldWorkers;
  readonly poolId: PoolId;
  readonly logger: Logger;
}

interface AdoptOrphansDeps extends Omit<AdoptLiveDeps, 'poolId'> {
  readonly runtime: Runtime;
  /** Reconciles a worker that is not live, or that ends. Runs in the background, because the engine may be away. */
  readonly reconcile: (worker: Worker) => Promise<void>;
  readonly inBackground: (work: Promise<void>) => void;
}

/**
 * Takes over every worker that is recorded as live and that no other gateway acts for. This asks nothing of the engine,
 * so code and its output continue while the engine is away. A worker that died meanwhile is found when the engine is
 * back.
 */
export async function adoptLive({
  database,
  heldWorkers,
  logger,
  poolId,
}: AdoptLiveDeps): Promise<void> {
  const workers = await database.queries.workersInStates(poolId, ['IDLE', 'ASSIGNED']);
  await eachForItself(logger, workers, async (worker) => {
    await heldWorkers.adopt(worker);
  });
}

/** Returns a function that takes over the workers that no live gateway acts for. */
export function createOrphanAdoption(deps: AdoptOrphansDeps): () => Promise<void> {
  const { leases, queries } = deps.database;
  const settling = new Set<WorkerId>();

  async function adopt(id: WorkerId): Promise<void> {
    const worker = await queries.worker(id);
    if (worker === null) return;
    if (isLive(worker)) await deps.heldWorkers.adopt(worker);
    if ((!isLive(worker) || isOutdated(deps, worker)) && !settling.has(id)) {
      settling.add(id);
      deps.inBackground(deps.reconcile(worker).finally(() => settling.delete(id)));
    }
  }

  return async () => eachForItself(deps.logger, await leases.unheldWorkers(), adopt);
}

/** Adopts all items at the same time. A failure is logged and does not affect the others. */
async function eachForItself<T>(
  logger: Logger,
  items: readonly T[],
  adopt: (item: T) => Promise<void>,
): Promise<void> {
  for (const outcome of await Promise.allSettled(items.map(adopt))) {
    if (outcome.status === 'fulfilled') continue;
    logger.error({ err: outcome.reason }, 'a worker could not be taken over; trying again');
  }
}

// Notices workers that ended by themselves, and ends their sessions and executions.

interface WorkerDeathsDeps extends EndWorkerDeps {
  readonly logger: Logger;
  /** Whether this process is making the worker. If so, the code that makes it notices its death. */
  readonly isInTheMaking: (id: WorkerId) => boolean;
}

interface WorkerDeaths {
  /**
   * Call this when the engine reports the end of a container. If the container belonged to a live worker, that worker
   * is lost. If the engine takes no calls at that time, the engine is stopping, and has ended the container itself.
   */
  containerEnded(containerId: string, exitCode: number | null): Promise<void>;
  /** Call this when a worker's agent does not answer. The worker is lost even if its container runs. */
  suspect(workerId: WorkerId, why: string): Promise<void>;
}

export function createWorkerDeaths(deps: WorkerDeathsDeps): WorkerDeaths {
  const { queries } = deps.database;

  async function loseEnded(worker: Worker): Promise<boolean> {
    const isLost = await loseIfEnded(deps, worker);
    if (isLost) deps.logger.warn({ workerId: worker.id }, 'a worker ended by itself');
    return isLost;
  }

  return {
    containerEnded: async (containerId, exitCode) => {
      const live = await queries.workersInStates(deps.poolId, ['STARTING', 'IDLE', 'ASSIGNED']);
      const worker = live.find((each) => each.containerId === containerId);
      if (!worker || deps.isInTheMaking(worker.id)) return;
      await loseEnded(worker).catch(async (error: unknown) => {
        if (!isEngineAway(error)) throw error;
        deps.logger.warn({ workerId: worker.id }, 'the engine stopped and ended a worker');
        await endWorker(
          deps,
          worker,
          loss('engine-restarted', 'The engine was stopped.', exitCode),
        );
      });
    },
    suspect: async (workerId, why) => {
      const worker = await queries.worker(workerId);
      if (!worker || !isLive(worker)) return;
      if (await loseEnded(worker)) return;
      deps.logger.error({ workerId, why }, 'a worker does not answer and is ended');
      await endWorker(deps, worker, loss('unreachable', why));
    },
  };
}
