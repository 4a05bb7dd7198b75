/** Makes one worker, from the recorded request until its kernel answers and this gateway acts for it. */
import { within } from '../../async/within.ts';
import type { PoolId, WorkerId } from '../../domain/ids.ts';
import {
  decideWorker,
  type Worker,
  type WorkerCommand,
  type WorkerLimits,
} from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import type { ServingEnvironment } from '../../events/queries/environmentQueries.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { HeldWorkers } from '../../worker/heldWorkers.ts';

/**
 * A start that takes longer than this counts as failed. A start takes about a second, but much longer if many workers
 * start together.
 */
const WORKER_START_TIMEOUT_MS = 60_000;
/** The engine reports a container that dies while it starts. This poll finds a death that the engine did not report. */
const POLL_INTERVAL_MS = 5_000;

export interface CreateWorkerDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly heldWorkers: HeldWorkers;
  readonly now: () => Date;
  readonly poolId: PoolId;
  /**
   * The id of the image for workers without an environment. It is looked up for each worker, so the next worker uses an
   * image that was rebuilt.
   */
  readonly imageId: () => Promise<string>;
  readonly limits: WorkerLimits;
  readonly maxTotalWorkers: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** A worker to be requested. */
export interface WantedWorker {
  readonly workerId: WorkerId;
  /** Null: a worker of no environment. */
  readonly environment: ServingEnvironment | null;
  /** An idle worker that is ended in the same commit, to make room. Null: there is room already. */
  readonly instead: Worker | null;
}

/**
 * Records that a worker is wanted, before any container exists.
 * @throws LimitError if MAX_TOTAL_WORKERS exist already; ConcurrencyError if `instead` is not idle any more
 */
export async function requestWorker(
  deps: CreateWorkerDeps,
  { workerId, environment, instead }: WantedWorker,
): Promise<Worker> {
  const { leases, store } = deps.database;
  const imageId = environment?.imageId ?? (await deps.imageId());
  // The lease comes first. Otherwise another gateway could mistake the recorded worker for one whose maker is gone.
  await leases.acquireWorker(workerId);
  const at = deps.now().toISOString();
  const request = append(null, workerId, {
    type: 'RequestWorker',
    at,
    workerId,
    poolId: deps.poolId,
    name: `cellhouse-${workerId}`,
    imageId,
    runtime: deps.runtime.name,
    limits: deps.limits,
    environmentId: environment?.id ?? null,
  });
  const end =
    instead && append(instead, instead.id, { type: 'RetireWorker', at, reason: 'recycled' });
  const requested = store.commit({
    streams: [...(end ? [end] : []), request],
    ...(end && { causationId: 'first-event' }),
    maxWorkers: deps.maxTotalWorkers,
  });
  await requested.catch(() => leases.releaseWorker(workerId));
  return (await requested).states.at(-1) as Worker;
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
  const started = record(deps, worker, {
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
  await record(deps, worker, {
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
  const poll = async () => {
    const seen = await runtime.inspect(containerId).catch(() => undefined);
    // `undefined`: the engine is away at the moment, which says nothing about the container.
    if (seen === undefined || seen?.isRunning) return;
    waiting.abort(endedWhileStarting(seen?.end?.exitCode ?? null));
  };
  // Polls immediately, too, because the container may have died before anybody listened.
  void poll();
  const timer = setInterval(poll, POLL_INTERVAL_MS);
  try {
    await within(WORKER_START_TIMEOUT_MS, address.untilOpen(waiting.signal), () => {
      throw new Error(`Its kernel did not answer within ${WORKER_START_TIMEOUT_MS} ms.`);
    });
  } finally {
    clearInterval(timer);
  }
}

/** The error for a worker whose container ended during its start. @param exitCode null if unknown */
export function endedWhileStarting(exitCode: number | null): Error {
  return new Error(`Its container ended while it started (exit code ${exitCode ?? 'unknown'}).`);
}

async function record(
  deps: CreateWorkerDeps,
  state: Worker,
  command: WorkerCommand,
): Promise<Worker> {
  const { states } = await deps.database.store.commit({
    streams: [append(state, state.id, command)],
  });
  return states[0] as Worker;
}

function append(state: Worker | null, id: WorkerId, command: WorkerCommand) {
  return { stream: 'worker', id, state, events: decideWorker(command, state) } as const;
}
