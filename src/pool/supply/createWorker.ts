/** Makes one worker, from the request to a kernel that answers and whose channel this gateway holds. */
import { within } from '../../async/within.ts';
import type { PoolId, WorkerId } from '../../domain/ids.ts';
import {
  decideWorker,
  type Worker,
  type WorkerCommand,
  type WorkerLimits,
} from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { HeldWorkers } from '../../worker/heldWorkers.ts';

/** After this a start counts as failed. It takes about a second, but much longer if many start together. */
const WORKER_START_TIMEOUT_MS = 60_000;
/** The engine reports a container that dies while it starts. This look catches a death that it did not report. */
const LOOK_INTERVAL_MS = 5_000;

export interface CreateWorkerDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly heldWorkers: HeldWorkers;
  readonly now: () => Date;
  readonly poolId: PoolId;
  /** The image's immutable id. It is looked up for each worker, so the next worker uses an image that was rebuilt. */
  readonly imageId: () => Promise<string>;
  readonly limits: WorkerLimits;
  readonly maxTotalWorkers: number;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Records that a worker is wanted, before any container exists.
 * @throws LimitError if MAX_TOTAL_WORKERS exist already
 */
export async function requestWorker(deps: CreateWorkerDeps, workerId: WorkerId): Promise<Worker> {
  const { leases } = deps.database;
  const imageId = await deps.imageId();
  // The lease comes first. Otherwise another gateway could take the recorded worker for one whose maker is gone.
  await leases.acquireWorker(workerId);
  const requested = record(deps, null, workerId, {
    type: 'RequestWorker',
    at: deps.now().toISOString(),
    workerId,
    poolId: deps.poolId,
    name: `cellhouse-${workerId}`,
    imageId,
    runtime: deps.runtime.name,
    limits: deps.limits,
  });
  await requested.catch(() => leases.releaseWorker(workerId));
  return await requested;
}

/** Creates the container of a requested worker. @throws the engine's error; no container is left then */
export async function startWorker(deps: CreateWorkerDeps, worker: Worker): Promise<Worker> {
  const workerId = worker.id;
  const { containerId, location } = await deps.runtime.create({
    workerId,
    poolId: deps.poolId,
    name: worker.name,
    imageId: worker.imageId,
    limits: worker.limits,
    environment: deps.environment,
  });
  const started = record(deps, worker, workerId, {
    type: 'RecordStart',
    at: deps.now().toISOString(),
    containerId,
    socketPath: location,
  });
  // This gateway may have been paused, and another one may have recorded the end of the worker meanwhile.
  await started.catch(() => deps.runtime.remove({ poolId: deps.poolId, workerId, containerId }));
  return await started;
}

/**
 * Awaits the kernel of a started worker, then takes over the worker.
 * @throws Error if the worker dies, the time is over, or `waiting` is aborted
 */
export async function awaitWorker(
  deps: CreateWorkerDeps,
  worker: Worker,
  waiting: AbortController,
): Promise<void> {
  await reachable(deps, worker, waiting);
  await deps.heldWorkers.adopt(worker);
  const now = deps.now();
  await record(deps, worker, worker.id, {
    type: 'RecordReady',
    at: now.toISOString(),
    readyMs: now.getTime() - worker.requestedAt.getTime(),
  });
}

async function reachable(
  { runtime }: CreateWorkerDeps,
  worker: Worker,
  waiting: AbortController,
): Promise<void> {
  const { containerId } = worker;
  const address = runtime.addressOf(worker);
  if (address === null || containerId === null) throw new Error('The worker was never started.');
  const look = async () => {
    const seen = await runtime.inspect(containerId).catch(() => undefined);
    // `undefined`: the engine is away at the moment, which says nothing about the container.
    if (seen === undefined || seen?.isRunning) return;
    waiting.abort(endedWhileStarting(seen?.end?.exitCode ?? null));
  };
  // Look immediately too, because it may have died before anybody listened.
  void look();
  const looker = setInterval(look, LOOK_INTERVAL_MS);
  try {
    await within(WORKER_START_TIMEOUT_MS, address.untilOpen(waiting.signal), () => {
      throw new Error(`Its kernel did not answer within ${WORKER_START_TIMEOUT_MS} ms.`);
    });
  } finally {
    clearInterval(looker);
  }
}

/** The error for a worker whose container ended during its start. @param exitCode null if unknown */
export function endedWhileStarting(exitCode: number | null): Error {
  return new Error(`Its container ended while it started (exit code ${exitCode ?? 'unknown'}).`);
}

async function record(
  deps: CreateWorkerDeps,
  state: Worker | null,
  id: WorkerId,
  command: WorkerCommand,
): Promise<Worker> {
  const events = decideWorker(command, state);
  const { states } = await deps.database.store.commit({
    streams: [{ stream: 'worker', id, state, events }],
    maxWorkers: deps.maxTotalWorkers,
  });
  return states[0] as Worker;
}
