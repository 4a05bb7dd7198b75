/** Makes workers for this gateway: knows their settings, tracks those being made, and ends those that fail. */
import { withAbort } from '../../async/withAbort.ts';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../domain/errors.ts';
import type { NewId, WorkerId } from '../../domain/ids.ts';
import { isOver, type Worker } from '../../domain/worker.ts';
import type { ServingEnvironment } from '../../events/queries/environmentQueries.ts';
import { ConcurrencyError, LimitError } from '../../events/store/eventStore.ts';
import { workerLimits } from '../../runtime/workerLimits.ts';
import { carryOutEnd, type EndWorkerDeps, endWorker, loss } from '../endWorker.ts';
import { agentEnvironment } from './agentEnvironment.ts';
import {
  awaitWorker,
  type CreateWorkerDeps,
  endedWhileStarting,
  requestWorker,
  startWorker,
} from './createWorker.ts';

export interface WorkerMakingDeps extends EndWorkerDeps {
  readonly config: Config;
  /** Tag or id. The id is looked up for each worker, so the next worker uses an image that was rebuilt. */
  readonly workerImage: string;
  readonly newId: NewId;
}

export interface WorkerMaking {
  /** Whether this process is making the worker. Sweeps leave such a worker alone. */
  isUnderWay(id: WorkerId): boolean;
  /**
   * Requests a worker. Null if MAX_TOTAL_WORKERS exist already, including those of other gateways, or if `instead` is
   * not idle any more.
   * @param environment null: a worker of no environment
   * @param instead an idle worker that ends to make room; null if there is room
   */
  request(environment: ServingEnvironment | null, instead: Worker | null): Promise<Worker | null>;
  /** Aborting ends only the waiting; the next start of a gateway continues. @throws the error of the failed step */
  bringUp(worker: Worker, signal: AbortSignal): Promise<void>;
  /** Continues with a started worker whose maker is gone. A worker that cannot be brought up is recorded as lost. */
  bringUpFound(worker: Worker, signal: AbortSignal): Promise<void>;
  fail(worker: Worker, error: unknown): Promise<void>;
  /** Call this when a container has ended. It ends the waiting for that container's worker. */
  containerEnded(containerId: string, exitCode: number | null): void;
}

export function createWorkerMaking(deps: WorkerMakingDeps): WorkerMaking {
  const making = createDeps(deps);
  const underWay = new Set<WorkerId>();
  const awaited = new Map<string, AbortController>();

  async function awaitStarted(worker: Worker, signal: AbortSignal): Promise<void> {
    const containerId = worker.containerId ?? '';
    await withAbort(signal, async (waiting) => {
      awaited.set(containerId, waiting);
      await awaitWorker(making, worker, waiting);
    }).finally(() => awaited.delete(containerId));
    underWay.delete(worker.id);
  }

  async function fail(worker: Worker, error: unknown): Promise<void> {
    underWay.delete(worker.id);
    const now = await deps.database.queries.worker(worker.id);
    // The worker is lost only in these states. In any other state, another gateway has brought it up or ended it.
    if (now && ['REQUESTED', 'STARTING'].includes(now.state))
      await endWorker(deps, now, loss('create-failed', messageOf(error)));
    // Another gateway has ended the worker. This gateway must release the lease, or it would renew it forever.
    else if (now === null || isOver(now)) await deps.heldWorkers.drop(worker.id);
  }

  return {
    isUnderWay: (id) => underWay.has(id),
    request: async (environment, instead) => {
      const workerId = deps.newId<WorkerId>();
      underWay.add(workerId);
      try {
        const worker = await requestWorker(making, { workerId, environment, instead });
        if (instead) void carryOutEnd(deps, instead.id);
        return worker;
      } catch (error: unknown) {
        underWay.delete(workerId);
        if (error instanceof LimitError || error instanceof ConcurrencyError) return null;
        throw error;
      }
    },
    bringUp: async (worker, signal) => {
      await awaitStarted(await startWorker(making, worker), signal);
    },
    bringUpFound: async (worker, signal) => {
      underWay.add(worker.id);
      try {
        await awaitStarted(worker, signal);
      } catch (error: unknown) {
        if (!signal.aborted) await fail(worker, error);
      }
    },
    fail,
    containerEnded: (containerId, exitCode) =>
      awaited.get(containerId)?.abort(endedWhileStarting(exitCode)),
  };
}

function createDeps(deps: WorkerMakingDeps): CreateWorkerDeps {
  const { config, runtime, workerImage } = deps;
  return {
    ...deps,
    maxTotalWorkers: config.maxTotalWorkers,
    imageId: () => runtime.imageId(workerImage),
    limits: workerLimits(config),
    environment: agentEnvironment(config),
  };
}
