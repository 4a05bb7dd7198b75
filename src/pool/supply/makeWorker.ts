/** Makes workers for this gateway: knows their settings, tracks those being made, and ends those that fail. */

import { withAbort } from '../../async/withAbort.ts';
import { within } from '../../async/within.ts';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../domain/errors.ts';
import type { NewId, PoolId, WorkerId } from '../../domain/ids.ts';
import {
  decideWorker,
  isOver,
  type Worker,
  type WorkerCommand,
  type WorkerLimits,
} from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import type { ServingEnvironment } from '../../events/queries/environmentQueries.ts';
import { ConcurrencyError, LimitError } from '../../events/store/eventStore.ts';
import { type Runtime, workerLimits } from '../../runtime/runtime.ts';
import type { HeldWorkers } from '../../worker/heldWorkers.ts';
import { carryOutEnd, type EndWorkerDeps, endWorker, loss } from '../endWorker.ts';

/** The settings of a worker's agent (docs/internals/worker-protocol.md, "Container environment"). */
export function agentEnvironment(
  config: Pick<
    Config,
    'workerOrphanTimeoutMs' | 'replayBufferBytes' | 'workerCpus' | 'egressAllow' | 'pipIndexUrl'
  >,
): Readonly<Record<string, string>> {
  const { egressAllow, pipIndexUrl } = config;
  return {
    CELLHOUSE_ORPHAN_TIMEOUT_MS: String(config.workerOrphanTimeoutMs),
    CELLHOUSE_REPLAY_BUFFER_BYTES: String(config.replayBufferBytes),
    CELLHOUSE_CPUS: String(Math.ceil(config.workerCpus)),
    // Without egress, a worker gets no settings for it.
    ...(egressAllow.length > 0 && {
      CELLHOUSE_EGRESS: 'on',
      ...(pipIndexUrl !== null && { PIP_INDEX_URL: pipIndexUrl }),
    }),
  };
}

// Makes one worker, from the recorded request until its kernel answers and this gateway acts for it.

/**
 * A start that takes longer than this counts as failed. A start takes about a second, but much longer if many workers
 * start together.
 */
const WORKER_START_TIMEOUT_MS = 60_000;
/** The engine reports a container that dies while it starts. This poll finds a death that the engine did not report. */
const POLL_INTERVAL_MS = 5_000;

interface MakeWorkerDeps {
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
  readonly agentVariables: Readonly<Record<string, string>>;
}

/** A worker to be requested. */
interface WantedWorker {
  readonly workerId: WorkerId;
  /** Null: a worker without an environment. */
  readonly environment: ServingEnvironment | null;
  /** An idle worker that is ended in the same commit, to make room. Null: there is room already. */
  readonly instead: Worker | null;
}

/**
 * Records that a worker is wanted, before any container exists.
 * @throws LimitError if MAX_TOTAL_WORKERS exist already; ConcurrencyError if `instead` is not idle any more
 */
async function requestWorker(
  deps: MakeWorkerDeps,
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

/**
 * Creates the container of a requested worker.
 * @throws the engine's error; the container is then removed, at the latest by the next sweep
 */
async function startWorker(deps: MakeWorkerDeps, worker: Worker): Promise<Worker> {
  const workerId = worker.id;
  const { containerId, location } = await deps.runtime.create({
    workerId,
    poolId: deps.poolId,
    name: worker.name,
    imageId: worker.imageId,
    limits: worker.limits,
    environment: deps.agentVariables,
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
 * @throws Error if the worker dies, the time limit has passed, or `waiting` is aborted
 */
async function awaitWorker(
  deps: MakeWorkerDeps,
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
  { runtime }: MakeWorkerDeps,
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
function endedWhileStarting(exitCode: number | null): Error {
  return new Error(`Its container ended while it started (exit code ${exitCode ?? 'unknown'}).`);
}

async function record(
  deps: MakeWorkerDeps,
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

interface WorkerMakerDeps extends EndWorkerDeps {
  readonly config: Config;
  /** Tag or id. The id is looked up for each worker, so the next worker uses an image that was rebuilt. */
  readonly workerImage: string;
  readonly newId: NewId;
}

export interface WorkerMaker {
  /** Whether this process is making the worker. Sweeps leave such a worker alone. */
  isUnderWay(id: WorkerId): boolean;
  /**
   * Requests a worker. Null if MAX_TOTAL_WORKERS exist already, including those of other gateways, or if `instead` is
   * not idle any more.
   * @param environment null: a worker without an environment
   * @param instead an idle worker that ends to make room; null if there is room
   */
  request(environment: ServingEnvironment | null, instead: Worker | null): Promise<Worker | null>;
  /**
   * Starts a requested worker and awaits it. Aborting the signal ends only the wait: the next start of a gateway
   * continues with the worker. @throws the error of the failed step
   */
  bringUp(worker: Worker, signal: AbortSignal): Promise<void>;
  /** Continues with a started worker whose maker is gone. A worker that cannot be brought up is recorded as lost. */
  bringUpFound(worker: Worker, signal: AbortSignal): Promise<void>;
  fail(worker: Worker, error: unknown): Promise<void>;
  /** Call this when a container has ended. It ends the waiting for that container's worker. */
  containerEnded(containerId: string, exitCode: number | null): void;
}

export function createWorkerMaker(deps: WorkerMakerDeps): WorkerMaker {
  const { config, runtime, workerImage } = deps;
  const making: MakeWorkerDeps = {
    ...deps,
    maxTotalWorkers: config.maxTotalWorkers,
    imageId: () => runtime.imageId(workerImage),
    limits: workerLimits(config),
    agentVariables: agentEnvironment(config),
  };
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
    // Another gateway has ended the worker. This gateway must release the worker's lease, or it would renew the lease
    // forever.
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
