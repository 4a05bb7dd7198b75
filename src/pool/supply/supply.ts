/**
 * Supplies requests with workers: requests wait in a queue, missing workers are made in the background, and the reason
 * is kept if they cannot be made.
 */
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../domain/errors.ts';
import type { PoolDegradation } from '../../domain/poolStatus.ts';
import type { Worker } from '../../domain/worker.ts';
import { DatabaseAwayError } from '../../events/store/eventStore.ts';
import type { RuntimeFailure } from '../../runtime/runtime.ts';
import { poolExhausted } from './poolExhausted.ts';
import { createPoolHealth } from './poolHealth.ts';
import { createRefill, type RefillDeps } from './refill.ts';
import { createWorkerQueue } from './workerQueue.ts';

export interface SupplyDeps
  extends Pick<RefillDeps, 'counts' | 'isKeeper' | 'request' | 'bringUp' | 'fail' | 'random'> {
  readonly config: Pick<Config, 'minIdleWorkers' | 'maxTotalWorkers'>;
  /** Idle workers that can be claimed now, best first, at most `limit`. */
  readonly candidates: (limit: number) => Promise<Worker[]>;
  /** Gets the number of requests that wait at this gateway, whenever it changes. */
  readonly onWaiting: (count: number) => void;
  /** Called when the number of waiting requests or the `degradation` has changed. */
  readonly onChange: () => void;
  readonly now: () => Date;
  readonly logger: Logger;
}

export interface Supply {
  /** See {@link createWorkerQueue}. @throws POOL_EXHAUSTED, WORKER_START_FAILED, DATABASE_UNAVAILABLE */
  claim<T>(user: string, attempt: (worker: Worker) => Promise<T>, waitMs: number): Promise<T>;
  /** The user has a session now, so the user's other waiting requests need no worker. */
  served(user: string): void;
  /** Null: as far as known, workers can be made. */
  readonly degradation: PoolDegradation | null;
  /** A worker may have become idle. */
  workerIdle(): void;
  /** A worker may be missing. */
  workerMissing(): void;
  /** No worker can be made until {@link Supply.engineBack}. */
  engineAway(reason: RuntimeFailure): void;
  engineBack(): void;
  /** Rejects every waiting request with `error`. */
  refuse(error: Error): void;
  /** Begins no further creation, and stops waiting for those under way. The gateway's next start continues them. */
  close(): Promise<void>;
}

export function createSupply(deps: SupplyDeps): Supply {
  const { config, logger, onChange } = deps;
  const health = createPoolHealth({ now: deps.now, onChange });
  const queue = createWorkerQueue({
    candidates: deps.candidates,
    onWaiting: () => refill.look(),
    onChange: () => {
      deps.onWaiting(queue.waiting);
      onChange();
    },
    onError: (error) =>
      logger.error({ error: messageOf(error) }, 'could not look for idle workers'),
    exhausted: (waitedMs) => poolExhausted(config.maxTotalWorkers, waitedMs, health.degradation),
    unanswered: (waitedMs) => new DatabaseAwayError(waitedMs),
  });
  const refill = createRefill({
    ...deps,
    ...config,
    waiting: () => queue.unservedUsers,
    cpus: availableParallelism(),
    onSuccess: health.creationSucceeded,
    onFailure: health.creationFailed,
  });
  return {
    claim: queue.claim,
    served: queue.served,
    get degradation() {
      return health.degradation;
    },
    workerIdle: queue.wake,
    workerMissing: refill.look,
    engineAway: health.engineAway,
    engineBack: () => {
      health.engineBack();
      refill.retryNow();
    },
    refuse: queue.close,
    close: refill.close,
  };
}
