/**
 * All workers of one installation: makes them, hands them out, watches them, ends them. The composition of this folder's
 * parts; each does one of these things.
 */
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { DomainError, messageOf } from '../domain/errors.ts';
import type { Execution } from '../domain/execution.ts';
import type { NewId, PoolId, WorkerId } from '../domain/ids.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { PoolDegradation, PoolStatus } from '../domain/poolStatus.ts';
import { type CloseReason, type Session, userKey } from '../domain/session.ts';
import type { Worker } from '../domain/worker.ts';
import type { Database } from '../events/database.ts';
import type { PoolCounts } from '../events/queries/queries.ts';
import { DatabaseAwayError } from '../events/store/eventStore.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { createHeldWorkers, type HeldWorkers } from '../worker/heldWorkers.ts';
import { closeSession, shutDownPool } from './closeSessions.ts';
import { createCpuYield } from './cpuYield.ts';
import type { EndWorkerDeps } from './endWorker.ts';
import { poolExhausted } from './poolExhausted.ts';
import { createPoolHealth } from './poolHealth.ts';
import { type ReconcileDeps, reconcile, reconcileWorker } from './reconcile.ts';
import { createRefill, type Refill } from './refill.ts';
import { createUpkeep } from './upkeep.ts';
import { createWorkerDeaths } from './workerDeaths.ts';
import { createWorkerMaking } from './workerMaking.ts';
import { createWorkerQueue } from './workerQueue.ts';

export interface PoolDeps {
  readonly config: Config;
  readonly database: Database;
  readonly runtime: Runtime;
  readonly poolId: PoolId;
  readonly workerImage: string;
  readonly logger: Logger;
  /** Counted in, over all workers' channels. */
  readonly messageCounts: MessageCounts;
  /** How many follow the execution's output on this gateway, or that of its user. */
  readonly followers: (execution: Execution) => number;
  readonly newId: NewId;
  readonly now: () => Date;
  readonly random: () => number;
}

export interface Pool {
  readonly id: PoolId;
  readonly heldWorkers: HeldWorkers;
  /** Adopts what lives, ends what died, then begins to keep the pool. Resolves when all live workers are adopted. */
  start(): Promise<void>;
  readonly isInitializing: boolean;
  readonly degradation: PoolDegradation | null;
  /** See {@link createWorkerQueue}. @throws POOL_EXHAUSTED, WORKER_START_FAILED, DATABASE_UNAVAILABLE */
  claim<T>(user: string, attempt: (worker: Worker) => Promise<T>, waitMs: number): Promise<T>;
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
  const closing = new AbortController();
  const settling = new Set<WorkerId>();
  let isInitializing = true;
  let watch: { close(): void } | null = null;
  const changed = () => {
    for (const listener of listeners) listener();
  };

  const heldWorkers = createHeldWorkers({
    ...deps,
    interruptGraceMs: config.interruptGraceMs,
    addressOf: (worker) => runtime.addressOf(worker),
    onSuspect: (workerId, why) => background(deaths.suspect(workerId, why)),
    onOpen: (workerId) => {
      queue.wake();
      cpuYield.reached(workerId);
    },
  });
  const health = createPoolHealth({ now: deps.now, onChange: changed });
  const ending: EndWorkerDeps = {
    ...deps,
    heldWorkers,
    onUnsettled: (workerId, error) => {
      const details = { error: messageOf(error), workerId };
      logger.warn(details, 'something of a worker that is over is left; the next sweep removes it');
      upkeep.sweepSoon();
    },
  };
  const making = createWorkerMaking({ ...deps, ...ending });
  const deaths = createWorkerDeaths({ ...ending, logger, isInTheMaking: making.isUnderWay });

  const queue = createWorkerQueue({
    candidates: (limit) => claimable(database, poolId, heldWorkers, limit),
    onWaiting: () => refill.look(),
    onChange: () => {
      database.waiting.set(queue.waiting);
      changed();
    },
    onError: (error) =>
      logger.error({ error: messageOf(error) }, 'could not look for idle workers'),
    exhausted: (waitedMs) => poolExhausted(config.maxTotalWorkers, waitedMs, health.degradation),
    unanswered: (waitedMs) => new DatabaseAwayError(waitedMs),
  });
  const refill: Refill = createRefill({
    ...making,
    ...config,
    counts: () => queries.poolCounts(poolId),
    waiting: () => queue.unservedUsers,
    isKeeper: () => upkeep.isKeeper,
    cpus: availableParallelism(),
    onSuccess: health.creationSucceeded,
    onFailure: health.creationFailed,
    random: deps.random,
    logger,
  });
  const upkeep = createUpkeep({
    ...config,
    database,
    logger,
    now: deps.now,
    adoptOrphans,
    sweep: () => reconcile(reconciling),
    closeSession: async (session, reason, idleSince) => {
      await closeSession(ending, session, reason, idleSince);
    },
    onLook: () => {
      queue.wake();
      refill.look();
    },
  });

  const cpuYield = createCpuYield({
    heldWorkers,
    logger,
    setCpuShare: async (id, share) => {
      const containerId = (await queries.worker(id))?.containerId;
      if (containerId) await runtime.setCpuShare(containerId, share);
    },
  });

  const offEvents = database.wakeUps.onEvent((event) => {
    heldWorkers.apply(event);
    cpuYield.apply(event);
    if (event.event.type === 'SessionOpened') {
      const { tenant, userUuid } = event.event.data;
      queue.served(userKey(tenant, userUuid));
    }
    if (event.streamKind !== 'worker') return;
    changed();
    if (event.event.type === 'WorkerReady') queue.wake();
    else refill.look();
  });

  const offWaiting = database.wakeUps.onWaiting(changed);

  const reconciling: ReconcileDeps = {
    ...ending,
    logger,
    isInTheMaking: making.isUnderWay,
    // In the background: nobody waits for one worker's start.
    bringUp: (worker) => background(making.bringUpFound(worker, closing.signal)),
  };

  /** Each for itself: one that cannot be taken over now does not keep the others waiting. */
  async function adoptOrphans(): Promise<void> {
    const orphans = await database.leases.orphanedWorkers();
    const adoptions = orphans.map(async (id) => {
      const worker = await queries.worker(id);
      if (worker === null) return;
      // Without a look at the engine: while that is away, code goes on and so does its output.
      if (['IDLE', 'ASSIGNED'].includes(worker.state)) await heldWorkers.adopt(worker);
      else settleOrphan(worker);
    });
    for (const outcome of await Promise.allSettled(adoptions)) {
      if (outcome.status === 'fulfilled') continue;
      logger.error({ err: outcome.reason }, 'a worker could not be taken over; trying again');
    }
  }

  /** In the background, for it asks the engine. */
  function settleOrphan(worker: Worker): void {
    if (settling.has(worker.id)) return;
    settling.add(worker.id);
    const settled = reconcileWorker(reconciling, worker, null);
    background(settled.finally(() => settling.delete(worker.id)));
  }

  function background(work: Promise<void>): void {
    work.catch((error: unknown) =>
      logger.error(
        { error: messageOf(error) },
        'background work of the pool failed; the next sweep tries again',
      ),
    );
  }

  return {
    id: poolId,
    heldWorkers,
    get isInitializing() {
      return isInitializing;
    },
    get degradation() {
      return health.degradation;
    },
    start: async () => {
      await database.leases.announce();
      await upkeep.start();
      // One worker that cannot be reconciled does not keep the others from serving.
      await reconcile(reconciling).catch((error: unknown) => {
        logger.error(
          { err: error },
          'not all workers could be reconciled; the next sweep tries again',
        );
        upkeep.sweepSoon();
      });
      isInitializing = false;
      changed();
      watch = runtime.watch(poolId, {
        onEnd: (id, exitCode) => {
          making.containerEnded(id, exitCode);
          background(deaths.containerEnded(id, exitCode));
        },
        onAway: health.engineAway,
        onBack: () => {
          health.engineBack();
          upkeep.sweepSoon();
          refill.retryNow();
        },
      });
      queue.wake();
      refill.look();
    },
    claim: (user, attempt, waitMs) => queue.claim(attempt, waitMs, user),
    closeSession: (session, reason) => closeSession(ending, session, reason),
    status: async () => ({
      ...statusOf(await queries.poolCounts(poolId)),
      waitingRequests: await database.waiting.total(),
      minIdleWorkers: config.minIdleWorkers,
      maxTotalWorkers: config.maxTotalWorkers,
      isInitializing,
      degradation: health.degradation,
    }),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    shutDown: () => shutDownPool(ending),
    close: async (drainMs) => {
      queue.close(
        new DomainError('SHUTTING_DOWN', 'This gateway is stopping. Send the request again.'),
      );
      closing.abort();
      watch?.close();
      await upkeep.close();
      await refill.close();
      await heldWorkers.close(drainMs);
      offEvents();
      cpuYield.close();
      offWaiting();
    },
  };
}

/** Idle workers that may be handed out: one of ours whose channel is down may be dead, and never is. */
async function claimable(
  { queries }: Database,
  poolId: PoolId,
  heldWorkers: HeldWorkers,
  limit: number,
): Promise<Worker[]> {
  const open = heldWorkers.all().filter(({ isOpen, isSuspect }) => isOpen && !isSuspect);
  const ids = open.map(({ workerId }) => workerId);
  const idle = await queries.idleWorkers(poolId, ids, limit + heldWorkers.all().length);
  return idle.filter(({ id }) => ids.includes(id) || heldWorkers.get(id) === undefined);
}

function statusOf({ starting, idle, assigned }: PoolCounts) {
  return {
    totalWorkers: starting + idle + assigned,
    busyWorkers: assigned,
    idleWorkers: idle,
    startingWorkers: starting,
  };
}
