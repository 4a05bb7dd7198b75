/**
 * Makes, hands out, watches and ends all workers of one installation. This file composes the parts in this folder, each
 * of which does one of these things.
 */
import type { Logger } from 'pino';
import { within } from '../async/within.ts';
import type { Config } from '../config/config.ts';
import { DomainError, messageOf } from '../domain/errors.ts';
import type { Actor } from '../domain/events.ts';
import type { Execution } from '../domain/execution.ts';
import type { EnvironmentId, NewId, PoolId, WorkerId } from '../domain/ids.ts';
import type { AskedKernel, KernelAnswer, KernelFacts } from '../domain/kernelQuestion.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { PoolDegradation, PoolStatus } from '../domain/poolStatus.ts';
import type { CloseReason, Session } from '../domain/session.ts';
import type { RetireReason, Worker, WorkerUsage } from '../domain/worker.ts';
import type { WorkerFiles } from '../domain/workerFiles.ts';
import type { Database } from '../events/database.ts';
import type { PoolCounts } from '../events/queries/workerQueries.ts';
import type { Runtime } from '../runtime/runtime.ts';
import {
  type AskKernelDeps,
  agentOf,
  askKernel,
  createWorkerFeatures,
  openWorkerFiles,
  usageOf,
  type WorkerFeatures,
} from '../worker/askAgent.ts';
import { createHeldWorkers, type HeldWorkers } from '../worker/heldWorkers.ts';
import { laneOf } from '../worker/lanes.ts';
import type { EgressServer } from '../worker/workerEgress.ts';
import { type CpuYield, createCpuYield } from './cpuYield.ts';
import {
  carryOutEnd,
  type EndWorkerDeps,
  endWorker,
  RECYCLED,
  recordEnd,
  shutDown,
} from './endWorker.ts';
import { createWorkerMaker } from './supply/makeWorker.ts';
import { createSupply, type Supply } from './supply/supply.ts';
import { createServingEnvironments, type ServingEnvironments } from './supply/supplyState.ts';
import { createUpkeep, type Upkeep } from './upkeep/upkeep.ts';

/**
 * How long a claim waits for the engine to name the worker image. Meanwhile, other users who wait for a worker wait,
 * too.
 */
const IMAGE_TIMEOUT_MS = 1_000;

export interface PoolDeps {
  readonly config: Config;
  readonly database: Database;
  readonly runtime: Runtime;
  readonly poolId: PoolId;
  readonly workerImage: string;
  readonly logger: Logger;
  /** Incremented by the channels of all workers. */
  readonly messageCounts: MessageCounts;
  /** The number of clients that follow the output of the execution, or of its user, on this gateway. */
  readonly followers: (execution: Execution) => number;
  /** Serves the outgoing connections of code in workers. Null: code may reach nothing. */
  readonly egress: EgressServer | null;
  readonly newId: NewId;
  readonly now: () => Date;
  readonly random: () => number;
}

export interface Pool {
  readonly id: PoolId;
  readonly heldWorkers: HeldWorkers;
  /**
   * Adopts live workers, ends dead ones, and starts the upkeep. Resolves when all live workers are adopted.
   * @param isEngineAway whether the engine cannot say which workers died. Then every worker recorded as live is
   * adopted, and the dead ones are ended when the engine is back. If the pool is closed meanwhile, nothing more is
   * started
   */
  start(isEngineAway: boolean): Promise<void>;
  readonly isInitializing: boolean;
  readonly degradation: PoolDegradation | null;
  /** See {@link createWorkerQueue}. @throws POOL_EXHAUSTED, WORKER_START_FAILED, DATABASE_UNAVAILABLE */
  claim: Supply['claim'];
  /**
   * Calls `listener` after each successful claim, with the time from the call to its end in ms. Returns a function that
   * removes it.
   */
  onClaimed(listener: (waitedMs: number) => void): () => void;
  /** See {@link agentOf}. */
  agentOf(worker: Worker): ReturnType<typeof agentOf>;
  /** Asks a kernel of a worker, whichever gateway holds the worker. Null: there is no answer. Never throws. */
  askKernel(worker: Worker, asked: AskedKernel): Promise<KernelAnswer | null>;
  /** The facts about the worker's kernels. Null: its agent does not report them. @throws the connection's error */
  kernelFactsOf(worker: Worker): Promise<KernelFacts | null>;
  /** The resources that the worker uses now, whichever gateway holds it. @throws the connection's error */
  usageOf(worker: Worker): Promise<WorkerUsage>;
  /**
   * The optional features of the worker's agent: those added since the first release.
   * @throws the connection's error
   */
  featuresOf(worker: Worker): Promise<ReadonlySet<string>>;
  /**
   * Like `featuresOf`, for a claim. Null: the worker did not answer in time. No claim at this gateway gets that worker
   * for a while.
   */
  featuresInTime(worker: Worker): Promise<ReadonlySet<string> | null>;
  /**
   * Whether the environment has a version that serves new sessions. If so, workers of it are kept idle for a while.
   * @param name the environment's name
   */
  askFor(name: string): Promise<boolean>;
  /**
   * Whether a new worker would get the same image as this one, and so have no further features.
   * @throws the engine's error, or an error if the engine does not answer in time
   */
  hasPresentImage(worker: Worker): Promise<boolean>;
  /** Whether the worker's agent is known to have a feature. If not, {@link featuresOf} asks it. */
  isKnownToHave(id: WorkerId, feature: string): boolean;
  /**
   * Ends an idle worker that cannot do what a session needs. Another one is made in its place. If another gateway has
   * opened a session with the worker meanwhile, the worker stays.
   */
  retireIdle(worker: Worker): Promise<void>;
  /**
   * Ends a session and removes its worker. Resolves with the closed session, or null if it was closed already.
   * @param actor who asked for it
   */
  closeSession(
    session: Session,
    reason: Exclude<CloseReason, 'worker-lost'>,
    actor: Actor,
  ): Promise<Session | null>;
  /** See {@link openWorkerFiles}. */
  filesOf(session: Pick<Session, 'id' | 'workerId'>): Promise<WorkerFiles | null>;
  status(): Promise<PoolStatus>;
  /** Calls `listener` when the status may have changed. Returns a function that removes it. */
  onChange(listener: () => void): () => void;
  /** Ends every session and worker of the pool, also those of other gateways. */
  shutDown(): Promise<void>;
  /** Stops acting for all workers. Sessions and running code continue. */
  close(drainMs: number): Promise<void>;
}

export function createPool(deps: PoolDeps): Pool {
  const { config, database, runtime, poolId } = deps;
  const { queries } = database;
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of listeners) listener();
  };
  const claimListeners = new Set<(waitedMs: number) => void>();
  const closing = new AbortController();
  const parts = wire(deps, changed, closing.signal);
  const { heldWorkers, supply, upkeep, ending } = parts;
  const off = listen(deps, parts, changed);
  let isInitializing = true;
  let watch: { close(): void } | null = null;

  return {
    id: poolId,
    heldWorkers,
    get isInitializing() {
      return isInitializing;
    },
    get degradation() {
      return supply.degradation;
    },
    start: async (isEngineAway) => {
      await database.leases.announce();
      if (closing.signal.aborted) return;
      await upkeep.start(isEngineAway);
      if (closing.signal.aborted) return;
      isInitializing = false;
      changed();
      watch = runtime.watch(poolId, upkeep.engineListener);
      supply.workerIdle();
      supply.workerMissing();
    },
    claim: async (...claim) => {
      const askedAt = performance.now();
      const claimed = await supply.claim(...claim);
      for (const listener of claimListeners) listener(performance.now() - askedAt);
      return claimed;
    },
    onClaimed: (listener) => {
      claimListeners.add(listener);
      return () => claimListeners.delete(listener);
    },
    agentOf: (worker) => agentOf(parts.asking, worker),
    askKernel: (worker, asked) => askKernel(parts.asking, worker, asked),
    featuresOf: parts.features.of,
    kernelFactsOf: parts.features.kernelFactsOf,
    usageOf: (worker) => usageOf((each) => runtime.addressOf(each), worker),
    featuresInTime: parts.features.inTime,
    askFor: parts.environments.askFor,
    hasPresentImage: async ({ imageId, environmentId }) => {
      if (environmentId !== null)
        return [...(await parts.environments.serving()).values()].some(
          ({ id }) => id === environmentId,
        );
      const present = within(IMAGE_TIMEOUT_MS, runtime.imageId(deps.workerImage), () => {
        throw new Error(`The engine did not name the worker image within ${IMAGE_TIMEOUT_MS} ms.`);
      });
      return (await present) === imageId;
    },
    isKnownToHave: parts.features.isKnownToHave,
    retireIdle: (worker) => retireIdle(ending, worker),
    closeSession: (session, reason, actor) => closeSession(ending, session, reason, actor),
    filesOf: (session) =>
      openWorkerFiles(
        { queries: database.queries, addressOf: (worker) => runtime.addressOf(worker) },
        session,
      ),
    status: async () => ({
      ...statusOf(await queries.poolCounts(poolId)),
      waitingRequests: await database.waiting.total(),
      minIdleWorkers: config.minIdleWorkers,
      minIdleEnvironmentWorkers: config.minIdleEnvironmentWorkers,
      maxTotalWorkers: config.maxTotalWorkers,
      isInitializing,
      degradation: supply.degradation,
    }),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    shutDown: () => shutDown(ending),
    close: async (drainMs) => {
      supply.refuse(
        new DomainError('SHUTTING_DOWN', 'This gateway is stopping. Send the request again.'),
      );
      closing.abort();
      watch?.close();
      await upkeep.close();
      await supply.close();
      await heldWorkers.close(drainMs);
      off();
    },
  };
}

interface PoolParts {
  readonly heldWorkers: HeldWorkers;
  readonly supply: Supply;
  readonly upkeep: Upkeep;
  readonly cpuYield: CpuYield;
  readonly ending: EndWorkerDeps;
  readonly asking: AskKernelDeps;
  readonly features: WorkerFeatures;
  readonly environments: ServingEnvironments;
}

/** Creates the parts of a pool. They refer to each other through callbacks, which run only after all parts exist. */
function wire(deps: PoolDeps, changed: () => void, closing: AbortSignal): PoolParts {
  const { config, database, runtime, poolId, logger } = deps;
  const heldWorkers = createHeldWorkers({
    ...deps,
    interruptGraceMs: config.interruptGraceMs,
    maxCommands: config.maxCommands,
    laneOf,
    addressOf: (worker) => runtime.addressOf(worker),
    onSuspect: (workerId, why) => upkeep.suspect(workerId, why),
    onOpen: (worker) => {
      supply.workerIdle();
      cpuYield.reached(worker.id);
      // The answer is remembered, so a claim need not ask. If this fails, the next caller of `features` asks again.
      features.of(worker).catch(() => undefined);
    },
  });
  const ending: EndWorkerDeps = {
    ...deps,
    heldWorkers,
    onUnsettled: (workerId, error) => {
      const details = { error: messageOf(error), workerId };
      logger.warn(details, 'could not remove all of an ended worker; the next sweep tries again');
      upkeep.sweepSoon();
    },
  };
  const environments = createServingEnvironments(database.queries, deps.now);
  const maker = createWorkerMaker({ ...deps, ...ending });
  const supply = createSupply({
    ...deps,
    ...maker,
    counts: () => database.queries.poolCounts(poolId),
    environments,
    environmentsAskedSince: database.queries.environmentsAskedSince,
    candidates: (ids, limit) =>
      claimable(database, poolId, { heldWorkers, features }, { ids, limit }),
    idleOf: (environments, limit) =>
      database.queries.idleWorkers(poolId, { environments, preferred: [], limit }),
    retireIdle: (worker) => retireIdle(ending, worker),
    isKeeper: () => upkeep.isKeeper(),
    busy: database.queries.openSessionsByTenant,
    waiting: database.waiting,
    onChange: changed,
  });
  const upkeep = createUpkeep({
    ...ending,
    config,
    maker,
    supply,
    closing,
    logger,
  });
  const cpuYield = createCpuYield({
    heldWorkers,
    logger,
    setCpuShare: async (id, share) => {
      const containerId = (await database.queries.worker(id))?.containerId;
      if (containerId) await runtime.setCpuShare(containerId, share);
    },
  });
  const asking: AskKernelDeps = {
    heldWorkers,
    queries: database.queries,
    addressOf: (worker) => runtime.addressOf(worker),
    logger,
  };
  const features = createWorkerFeatures((worker) => runtime.addressOf(worker), deps.now);
  return { heldWorkers, supply, upkeep, cpuYield, ending, asking, features, environments };
}

/** Passes recorded events of all gateways to the parts. @returns a function that stops this */
function listen(
  { database: { wakeUps } }: PoolDeps,
  { heldWorkers, supply, upkeep, cpuYield, features, environments }: PoolParts,
  changed: () => void,
): () => void {
  const offEvents = wakeUps.onEvent((recorded) => {
    heldWorkers.apply(recorded);
    cpuYield.apply(recorded);
    const { event, streamKind, streamId, metadata } = recorded;
    // The command line only records the end of a worker. A gateway must carry it out.
    if (event.type === 'WorkerRetired' && metadata.actor?.door === 'cli') upkeep.sweepSoon();
    if (event.type === 'SessionOpened') supply.served(event.data);
    if (streamKind === 'environment') {
      environments.changed();
      supply.workerIdle();
      supply.workerMissing();
    }
    if (streamKind !== 'worker') return;
    if (event.type === 'WorkerRemoved') features.forget(streamId as WorkerId);
    changed();
    if (event.type === 'WorkerReady') supply.workerIdle();
    else supply.workerMissing();
  });
  const offWaiting = wakeUps.onWaiting(() => {
    changed();
    // Users of another gateway may have got their workers, so it may now be the turn of a user who waits here.
    supply.workerIdle();
  });
  return () => {
    offEvents();
    cpuYield.close();
    offWaiting();
  };
}

/**
 * Records the end of an idle worker, and carries it out in the background. A worker that has a session by now stays.
 */
async function retireIdle(ending: EndWorkerDeps, { id }: Worker): Promise<void> {
  await recordEnd(ending, id, RECYCLED);
  void carryOutEnd(ending, id);
}

/** Null if the session was closed already. */
async function closeSession(
  ending: EndWorkerDeps,
  { workerId }: Session,
  reason: RetireReason,
  actor: Actor,
): Promise<Session | null> {
  const worker = await ending.database.queries.worker(workerId);
  const why = { type: 'RetireWorker', reason, actor } as const;
  return worker && (await endWorker(ending, worker, why));
}

/**
 * Idle workers that may be handed out. A worker of this gateway whose channel is down is left out, and so is one that
 * did not answer a claim: it may be dead.
 */
async function claimable(
  { queries }: Database,
  poolId: PoolId,
  { heldWorkers, features }: Pick<PoolParts, 'heldWorkers' | 'features'>,
  {
    ids: environments,
    limit,
  }: { readonly ids: readonly (EnvironmentId | null)[]; readonly limit: number },
): Promise<Worker[]> {
  const silent = features.silent();
  const open = heldWorkers.all().filter(({ isOpen, isSuspect }) => isOpen && !isSuspect);
  const preferred = open.map(({ workerId }) => workerId);
  const maxLeftOut = heldWorkers.all().length + silent.length;
  const idle = await queries.idleWorkers(poolId, {
    environments,
    preferred,
    limit: limit + maxLeftOut,
  });
  return idle
    .filter(({ id }) => preferred.includes(id) || heldWorkers.get(id) === undefined)
    .filter(({ id }) => !silent.includes(id));
}

function statusOf({ of, ...total }: PoolCounts) {
  const environments = of.flatMap(({ environmentId: id, name, number, ...counts }) =>
    id === null || name === null || number === null
      ? []
      : [{ environmentId: id, name, version: number, ...numbersOf(counts) }],
  );
  return { ...numbersOf(total), environments };
}

function numbersOf({ starting, idle, assigned }: Omit<PoolCounts, 'of'>) {
  return {
    totalWorkers: starting + idle + assigned,
    busyWorkers: assigned,
    idleWorkers: idle,
    startingWorkers: starting,
  };
}
