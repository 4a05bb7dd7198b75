/**
 * Supplies requests with workers: requests wait in a queue, missing workers are made in the background, and the reason
 * is kept if they cannot be made.
 */
import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../domain/errors.ts';
import type { PoolDegradation } from '../../domain/poolStatus.ts';
import { userKey } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import { DatabaseAwayError } from '../../events/store/eventStore.ts';
import type { WaitingRequests } from '../../events/wakeUps/waitingRequests.ts';
import type { RuntimeFailure } from '../../runtime/runtime.ts';
import { poolExhausted } from './poolExhausted.ts';
import { createPoolHealth } from './poolHealth.ts';
import { createRefill, type RefillDeps } from './refill.ts';
import { createWorkerQueue, type OnGone, type Who } from './workerQueue.ts';

export interface SupplyDeps
  extends Pick<RefillDeps, 'counts' | 'isKeeper' | 'request' | 'bringUp' | 'fail' | 'random'> {
  readonly config: Pick<Config, 'minIdleWorkers' | 'maxTotalWorkers' | 'tenantWeights'>;
  /** Idle workers that can be claimed now, best first, at most `limit`. */
  readonly candidates: (limit: number) => Promise<Worker[]>;
  /** How many sessions each tenant has. */
  readonly busy: () => Promise<ReadonlyMap<string, number>>;
  /** Gets what waits at this gateway, and knows what waits at others. */
  readonly waiting: Pick<WaitingRequests, 'set' | 'tellNow' | 'elsewhere' | 'served'>;
  /** Called when the number of waiting requests or the `degradation` has changed. */
  readonly onChange: () => void;
  readonly now: () => Date;
  readonly logger: Logger;
}

/** A user of a tenant. */
export interface Owner {
  readonly tenant: string;
  readonly userUuid: string;
}

export interface Supply {
  /** See {@link createWorkerQueue}. @throws POOL_EXHAUSTED, WORKER_START_FAILED, DATABASE_UNAVAILABLE */
  claim<T>(
    owner: Owner,
    attempt: (worker: Worker) => Promise<T>,
    waitMs: number,
    onGone?: OnGone,
  ): Promise<T>;
  /** The user has a session now, so the user's other waiting requests need no worker. */
  served(owner: Owner): void;
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
  const { config, logger, onChange, waiting } = deps;
  const health = createPoolHealth({ now: deps.now, onChange });
  const queue = createWorkerQueue({
    candidates: deps.candidates,
    elsewhere: waiting.elsewhere,
    busy: deps.busy,
    weights: config.tenantWeights,
    onWaiting: () => {
      waiting.tellNow();
      refill.look();
    },
    onChange: () => {
      waiting.set(queue.here);
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
    claim: (owner, attempt, waitMs, onGone) => queue.claim(whoIs(owner), attempt, waitMs, onGone),
    served: (owner) => {
      const { user } = whoIs(owner);
      queue.served(user);
      waiting.served(user);
    },
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

/** So few characters are enough to tell waiting users apart. */
const USER_HASH_LENGTH = 16;

/** Other gateways are told a hash, so that no table for waiting requests names users. */
function whoIs({ tenant, userUuid }: Owner): Who {
  const user = hash('sha256', userKey(tenant, userUuid), 'hex').slice(0, USER_HASH_LENGTH);
  return { tenant, user };
}
