/**
 * Brings what is recorded and what runs into agreement, at start and on a timer:
 *
 * | recorded | container | then |
 * |---|---|---|
 * | REQUESTED, STARTING, and a live gateway makes it | any or none | left to that |
 * | REQUESTED | any or none | lost (create-failed), removed |
 * | STARTING | alive, or the engine is away | brought up |
 * | IDLE, ASSIGNED | alive | adopted, if no live gateway acts for it |
 * | STARTING, IDLE, ASSIGNED | dead or gone | lost, its session closed, its executions ended |
 * | RETIRED, LOST | any or none | settled: whatever is left is removed |
 * | none, REMOVED | any | a stranger with this pool's label: removed |
 *
 * Who makes a worker holds its lease from before the request on, so whoever gets that lease knows the maker to be gone.
 * Containers without this pool's label are never looked at.
 */
import type { Logger } from 'pino';
import type { WorkerId } from '../../domain/ids.ts';
import type { Worker } from '../../domain/worker.ts';
import { isEngineAway, type ListedWorker } from '../../runtime/runtime.ts';
import {
  type EndWorkerDeps,
  endWorker,
  loseIfEnded,
  loss,
  settleWorker,
  UNSETTLED_STATES,
} from '../endWorker.ts';

export interface ReconcileDeps extends EndWorkerDeps {
  readonly logger: Logger;
  /** Being made by this very process: left alone. */
  readonly isInTheMaking: (id: WorkerId) => boolean;
  /** Awaits a started worker whose maker is gone. */
  readonly bringUp: (worker: Worker) => void;
}

export async function reconcile(deps: ReconcileDeps): Promise<void> {
  const { queries } = deps.database;
  // Containers first: each has a recorded worker by then, so one that has none is a stranger.
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

/** @param container null: none is there, or nobody looked */
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
  // If its maker was only slow, it is a live worker, and whoever finds it without a lease adopts it.
  await leases.releaseWorker(worker.id);
}

async function reconcileStarting(deps: ReconcileDeps, worker: Worker): Promise<void> {
  if ((await deps.database.leases.acquireWorker(worker.id)) === null) return;
  const isOver = await loseIfEnded(deps, worker).catch((error: unknown) => {
    // Its socket tells that it lives. Kept without acting, its lease would keep everybody else from it.
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
  // One that ran when it was listed is asked about no more: its end would be told.
  if (!container?.isRunning && (await loseIfEnded(deps, worker))) return;
  const held = await deps.heldWorkers.adopt(worker);
  // Whoever was told that it does not answer could not record it then.
  if (held?.isSuspect)
    await endWorker(deps, worker, loss('unreachable', 'Its agent does not answer.'));
}

async function removeStranger(
  deps: ReconcileDeps,
  { containerId, workerId }: ListedWorker,
): Promise<void> {
  // Recorded since the list was read, or removed just now: the second read tells.
  const worker = workerId === null ? null : await deps.database.queries.worker(workerId);
  if (worker && worker.state !== 'REMOVED') return;
  deps.logger.warn(
    { containerId, workerId },
    'removing a container of this pool that no event knows',
  );
  await deps.runtime.remove({ poolId: deps.poolId, workerId, containerId });
}
