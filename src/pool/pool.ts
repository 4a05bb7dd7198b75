/**
 * All workers of one installation: makes them, hands them out, watches them, ends them. The composition of this folder's
 * parts; each does one of these things.
 */
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { DomainError, messageOf } from '../errors.ts';
import type { Database } from '../events/database.ts';
import type { CloseReason, RetireReason } from '../events/eventTypes.ts';
import type { Session, Worker } from '../events/states.ts';
import type { NewId, PoolId, WorkerId } from '../ids.ts';
import { awaitWorker, type CreateWorkerDeps, requestWorker, startWorker } from './createWorker.ts';
import { type EndWorkerDeps, recordEnd } from './endWorker.ts';
import { endAndSettle, loseWorker, reconcile } from './reconcile.ts';
import { createRefill, type Refill } from './refill.ts';
import type { Runtime } from './runtime.ts';
import type { PoolStatus } from './service.ts';
import { createUpkeep } from './upkeep.ts';
import { createWorkerDeaths } from './workerDeaths.ts';
import { createWorkerHosts, type WorkerHosts } from './workerHosts.ts';
import { createWorkerQueue } from './workerQueue.ts';

/** What a caller is told to wait before it asks a full pool again: about one worker's start. */
const RETRY_AFTER_MS = 1_000;

export interface PoolDeps {
  readonly config: Config;
  readonly database: Database;
  readonly runtime: Runtime;
  readonly poolId: PoolId;
  readonly workerImage: string;
  readonly logger: Logger;
  readonly newId: NewId;
  readonly now: () => Date;
  readonly random: () => number;
}

export interface Pool {
  readonly hosts: WorkerHosts;
  /** Adopts what lives, ends what died, then begins to keep the pool. Resolves when all live workers are adopted. */
  start(): Promise<void>;
  readonly isInitializing: boolean;
  /** See {@link createWorkerQueue}. @throws POOL_EXHAUSTED, WORKER_START_FAILED */
  claim<T>(attempt: (worker: Worker) => Promise<T>, waitMs: number): Promise<T>;
  /** Ends a session and removes its worker. Resolves with the session as closed; null: it was closed already. */
  closeSession(
    session: Session,
    reason: Exclude<CloseReason, 'worker-lost'>,
  ): Promise<Session | null>;
  status(): Promise<PoolStatus>;
  /** Calls when the status may have changed. */
  onChange(listener: () => void): () => void;
  /** Ends every session and worker of the pool, of whichever gateway. */
  shutDown(): Promise<void>;
  /** Lets go of everything; sessions and running code go on. */
  close(drainMs: number): Promise<void>;
}

export function createPool(deps: PoolDeps): Pool {
  const { config, database, runtime, poolId, logger } = deps;
  const { queries } = database;
  const listeners = new Set<() => void>();
  const inTheMaking = new Set<WorkerId>();
  const changed = () => {
    for (const listener of listeners) listener();
  };
  const report = (what: string) => (error: unknown) =>
    logger.error(
      { error: messageOf(error) },
      `${what} could not be recorded; the next sweep tries again`,
    );
  const closing = new AbortController();
  let isInitializing = true;

  const hosts = createWorkerHosts({
    database,
    logger,
    now: deps.now,
    interruptGraceMs: config.interruptGraceMs,
    onSuspect: (workerId, why) =>
      void deaths.suspect(workerId, why).catch(report('a suspect worker')),
    onOpen: () => queue.wake(),
  });
  const making: CreateWorkerDeps = {
    ...deps,
    hosts,
    imageId: () => runtime.imageId(deps.workerImage),
    socketDir: config.socketDir,
    limits: {
      memoryMb: config.workerMemoryMb,
      diskMb: config.workerDiskMb,
      cpus: config.workerCpus,
      pids: config.workerPids,
    },
    environment: {
      CELLHOUSE_ORPHAN_TIMEOUT_MS: String(config.workerOrphanTimeoutMs),
      CELLHOUSE_REPLAY_BUFFER_BYTES: String(config.replayBufferBytes),
      CELLHOUSE_CPUS: String(Math.ceil(config.workerCpus)),
    },
  };
  const ending: EndWorkerDeps = { ...deps, hosts, socketDir: config.socketDir };
  const isInTheMaking = (id: WorkerId) => inTheMaking.has(id);
  const deaths = createWorkerDeaths({ ...ending, logger, isInTheMaking });

  const queue = createWorkerQueue({
    candidates: async (limit) => {
      const held = hosts.all().filter(({ isOpen, isSuspect }) => isOpen && !isSuspect);
      const ids = held.map(({ workerId }) => workerId);
      const idle = await queries.idleWorkers(poolId, ids, limit + hosts.all().length);
      // One of ours whose channel is down may be dead: it is never handed out.
      return idle.filter(({ id }) => ids.includes(id) || hosts.get(id) === undefined);
    },
    onWaiting: () => refill.look(),
    onChange: changed,
    onError: (error) =>
      logger.error({ error: messageOf(error) }, 'could not look for idle workers'),
    exhausted: (waitedMs) => exhausted(config.maxTotalWorkers, waitedMs, refill.lastFailure),
  });

  const refill: Refill = createRefill({
    counts: () => queries.poolCounts(poolId),
    waiting: () => queue.waiting,
    minIdleWorkers: config.minIdleWorkers,
    maxTotalWorkers: config.maxTotalWorkers,
    isKeeper: () => upkeep.isKeeper,
    request: async () => {
      const worker = await requestWorker(making);
      inTheMaking.add(worker.id);
      return worker;
    },
    bringUp: async (worker, signal) => {
      await awaitWorker(making, await startWorker(making, worker), signal);
      inTheMaking.delete(worker.id);
    },
    fail: async (worker, error) => {
      inTheMaking.delete(worker.id);
      await loseWorker(ending, worker, 'create-failed', null, messageOf(error));
    },
    random: deps.random,
    logger,
  });

  const upkeep = createUpkeep({
    ...config,
    database,
    logger,
    now: deps.now,
    adoptOrphans,
    sweep: () => sweep(false),
    closeSession: async (session, reason) => {
      await closeSession(session, reason);
    },
    onLook: () => {
      queue.wake();
      refill.look();
    },
  });

  async function adoptOrphans(): Promise<void> {
    for (const id of await database.leases.orphanedWorkers()) {
      const worker = inTheMaking.has(id) ? null : await queries.worker(id);
      if (worker) await hosts.adopt(worker);
    }
  }

  async function sweep(isStart: boolean): Promise<void> {
    await reconcile({ ...ending, logger, isStart, isInTheMaking, bringUp: bringUpFound });
  }

  async function bringUpFound(worker: Worker): Promise<void> {
    try {
      await awaitWorker(making, worker, closing.signal);
    } catch (error: unknown) {
      if (closing.signal.aborted) return;
      await loseWorker(ending, worker, 'create-failed', null, messageOf(error));
    }
  }

  async function closeSession(session: Session, reason: RetireReason): Promise<Session | null> {
    const closed = await recordEnd(ending, session.workerId, { type: 'retire', reason });
    const worker = await queries.worker(session.workerId);
    if (worker && worker.state !== 'REMOVED') {
      await endAndSettle(ending, worker, { type: 'retire', reason });
    }
    refill.look();
    return closed;
  }

  let watch: { close(): void } | null = null;
  const offEvents = database.wakeUps.onEvent((recorded) => {
    hosts.apply(recorded);
    if (recorded.streamKind !== 'worker') return;
    changed();
    if (recorded.event.type === 'WorkerReady') queue.wake();
    else refill.look();
  });

  return {
    hosts,
    get isInitializing() {
      return isInitializing;
    },
    start: async () => {
      await upkeep.start();
      await sweep(true);
      isInitializing = false;
      changed();
      watch = runtime.watch(
        poolId,
        (containerId) =>
          void deaths.containerEnded(containerId).catch(report('a worker that ended')),
        () => upkeep.sweepSoon(),
      );
      queue.wake();
      refill.look();
    },
    claim: (attempt, waitMs) => queue.claim(attempt, waitMs),
    closeSession,
    status: async () => {
      const { starting, idle, assigned } = await queries.poolCounts(poolId);
      return {
        totalWorkers: starting + idle + assigned,
        busyWorkers: assigned,
        idleWorkers: idle,
        startingWorkers: starting,
        waitingRequests: queue.waiting,
        minIdleWorkers: config.minIdleWorkers,
        maxTotalWorkers: config.maxTotalWorkers,
        isInitializing,
      };
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    shutDown: async () => {
      const workers = await queries.workersInStates(poolId, [
        'REQUESTED',
        'STARTING',
        'IDLE',
        'ASSIGNED',
        'RETIRED',
        'LOST',
      ]);
      await Promise.all(
        workers.map((worker) =>
          endAndSettle(ending, worker, { type: 'retire', reason: 'shutdown' }),
        ),
      );
      for (const { containerId } of await runtime.list(poolId)) await runtime.remove(containerId);
    },
    close: async (drainMs) => {
      queue.close(
        new DomainError('SHUTTING_DOWN', 'This gateway is stopping. Send the request again.'),
      );
      closing.abort();
      watch?.close();
      await upkeep.close();
      await refill.close();
      await hosts.close(drainMs);
      offEvents();
    },
  };
}

function exhausted(maxTotalWorkers: number, waitedMs: number, failure: string | null): DomainError {
  if (failure !== null) {
    return new DomainError(
      'WORKER_START_FAILED',
      `No worker was ready within ${waitedMs} ms, and the last one could not be started. The operator finds the reason in the log.`,
      { retryAfterMs: RETRY_AFTER_MS },
    );
  }
  return new DomainError(
    'POOL_EXHAUSTED',
    `No worker was free within ${waitedMs} ms (the pool has at most ${maxTotalWorkers}). Release sessions that are done, or try again.`,
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
