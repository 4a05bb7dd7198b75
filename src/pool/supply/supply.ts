/**
 * Supplies requests with workers: requests wait in a queue, missing workers are made in the background, and the reason
 * is kept if they cannot be made.
 */
import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../../config/config.ts';
import { messageOf } from '../../domain/errors.ts';
import type { EnvironmentId } from '../../domain/ids.ts';
import type { PoolDegradation } from '../../domain/poolStatus.ts';
import { userKey } from '../../domain/session.ts';
import type { Worker } from '../../domain/worker.ts';
import { DatabaseAwayError } from '../../events/store/eventStore.ts';
import type { WaitingRequests } from '../../events/wakeUps/waitingRequests.ts';
import type { RuntimeFailure } from '../../runtime/runtime.ts';
import type { IdleWorkers } from './fairOrder.ts';
import { createPoolHealth } from './poolHealth.ts';
import { createRefill, type RefillDeps } from './refill.ts';
import type { ServingEnvironments } from './servingEnvironments.ts';
import { createWorkerQueue, type OnGone, poolExhausted, type Who } from './workerQueue.ts';

export interface SupplyDeps
  extends Pick<
    RefillDeps,
    | 'counts'
    | 'busy'
    | 'isKeeper'
    | 'environmentsAskedSince'
    | 'idleOf'
    | 'request'
    | 'bringUp'
    | 'fail'
    | 'retireIdle'
    | 'random'
  > {
  readonly config: Pick<
    Config,
    'minIdleWorkers' | 'minIdleEnvironmentWorkers' | 'maxTotalWorkers' | 'tenantWeights'
  >;
  readonly environments: ServingEnvironments;
  /** Idle workers of each environment that can be claimed now, best first, at most `limit` of each. */
  readonly candidates: (ids: readonly (EnvironmentId | null)[], limit: number) => Promise<Worker[]>;
  /** Publishes the requests that wait at this gateway, and knows those that wait at other gateways. */
  readonly waiting: Pick<WaitingRequests, 'set' | 'tellNow' | 'elsewhere' | 'served'>;
  /** Called when the number of waiting requests or the `degradation` has changed. */
  readonly onChange: () => void;
  readonly now: () => Date;
  readonly logger: Logger;
}

/** A user of a tenant, and the environment whose worker the user needs. */
export interface WorkerFor {
  readonly tenant: string;
  readonly userUuid: string;
  /** The environment's name. Null: the user needs a worker without an environment. */
  readonly environment: string | null;
}

export interface Supply {
  /** See {@link createWorkerQueue}. @throws POOL_EXHAUSTED, WORKER_START_FAILED, DATABASE_UNAVAILABLE */
  claim<T>(
    whose: WorkerFor,
    attempt: (worker: Worker) => Promise<T>,
    waitMs: number,
    onGone?: OnGone,
  ): Promise<T>;
  /** The user has a session now, so the user's other waiting requests need no worker. */
  served(owner: Omit<WorkerFor, 'environment'>): void;
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
    candidates: (wanted) => findIdle(deps, wanted),
    elsewhere: waiting.elsewhere,
    busy: deps.busy,
    weights: config.tenantWeights,
    onWaiting: () => {
      waiting.tellNow();
      refill.check();
    },
    onChange: () => {
      waiting.set(queue.here);
      onChange();
    },
    onError: (error) =>
      logger.error({ error: messageOf(error) }, 'could not look for idle workers'),
    exhausted: (waitedMs, environment) =>
      poolExhausted(config.maxTotalWorkers, waitedMs, health.degradationFor(environment)),
    unanswered: (waitedMs) => new DatabaseAwayError(waitedMs),
  });
  const refill = createRefill({
    ...deps,
    ...config,
    waiting: () => queue.unserved,
    elsewhere: waiting.elsewhere,
    serving: deps.environments.serving,
    cpus: availableParallelism(),
    onSuccess: health.creationSucceeded,
    onFailure: health.creationFailed,
  });
  return {
    claim: ({ environment, ...owner }, attempt, waitMs, onGone) =>
      queue.claim({ ...whoIs(owner), environment }, attempt, waitMs, onGone),
    served: (owner) => {
      const { user } = whoIs(owner);
      queue.served(user);
      waiting.served(user);
    },
    get degradation() {
      return health.degradation;
    },
    workerIdle: queue.wake,
    workerMissing: refill.check,
    engineAway: health.engineAway,
    engineBack: () => {
      health.engineBack();
      refill.retryNow();
    },
    refuse: queue.close,
    close: refill.close,
  };
}

/** The idle workers of the wanted environments, by name. An environment that serves no sessions any more is absent. */
async function findIdle(
  { candidates, environments }: SupplyDeps,
  wanted: ReadonlyMap<string | null, number>,
): Promise<IdleWorkers> {
  const names = [...wanted.keys()];
  const serving = names.some((name) => name !== null) ? await environments.serving() : new Map();
  const ids = new Map<string | null, EnvironmentId | null>();
  for (const name of names)
    if (name === null) ids.set(null, null);
    else if (serving.has(name)) ids.set(name, serving.get(name).id);
  const idle = await candidates([...ids.values()], Math.max(0, ...wanted.values()));
  return new Map(
    [...ids].map(([name, id]) => [name, idle.filter(({ environmentId }) => environmentId === id)]),
  );
}

/** This many characters are enough to tell waiting users apart. */
const USER_HASH_LENGTH = 16;

/** Other gateways get a hash of the user, so that the database holds no names of waiting users. */
function whoIs({ tenant, userUuid }: Omit<WorkerFor, 'environment'>): Omit<Who, 'environment'> {
  const user = hash('sha256', userKey(tenant, userUuid), 'hex').slice(0, USER_HASH_LENGTH);
  return { tenant, user };
}
