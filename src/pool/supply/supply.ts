/**
 * Supplies requests with workers: requests wait in a queue, and missing workers are made in the background. If no
 * worker can be made, the reason is kept.
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
import { RuntimeError, type RuntimeFailure } from '../../runtime/runtime.ts';
import type { IdleWorkers } from './fairOrder.ts';
import { createMissingWorkers, type MissingWorkersDeps } from './missingWorkers.ts';
import type { ServingEnvironments } from './supplyState.ts';
import { createWorkerQueue, type OnGone, poolExhausted, type Who } from './workerQueue.ts';

interface SupplyDeps
  extends Pick<
    MissingWorkersDeps,
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
  /** Idle workers of each environment that can be claimed now, best first: `limit` of each if it has them, or more. */
  readonly candidates: (ids: readonly (EnvironmentId | null)[], limit: number) => Promise<Worker[]>;
  /** Publishes the requests that wait at this gateway, and knows those that wait at other gateways. */
  readonly waiting: Pick<WaitingRequests, 'set' | 'tellNow' | 'elsewhere' | 'served'>;
  /** Called when the number of waiting requests or the `degradation` has changed. */
  readonly onChange: () => void;
  readonly now: () => Date;
  readonly logger: Logger;
}

/** A user of a tenant, and the environment whose worker the user needs. */
interface WorkerFor {
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
  const health = createPoolHealth(deps.now, onChange);
  const queue = createWorkerQueue({
    candidates: (wanted) => findIdle(deps, wanted),
    elsewhere: waiting.elsewhere,
    busy: deps.busy,
    weights: config.tenantWeights,
    onWaiting: () => {
      waiting.tellNow();
      missing.check();
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
  const missing = createMissingWorkers({
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
    workerMissing: missing.check,
    engineAway: health.engineAway,
    engineBack: () => {
      health.engineBack();
      missing.retryNow();
    },
    refuse: queue.close,
    close: missing.close,
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

// Whether workers can be made, and why not.
// ```
//  well --engine away--> degraded (engine-away, other-engine) --engine back--> well
//  well --a worker could not be made--> degraded (why) --one was made, or a while without another failure--> well
// ```
// While the engine is away, that explains all other failures, so it takes precedence. Existing sessions are not
// affected. A failure that affects only one environment is reported only to users who wait for a worker of it.

/** A failure older than this no longer explains why a request waits. Longer than the pause between two attempts. */
const FAILURE_MEMORY_MS = 60_000;

const MESSAGES: Readonly<Record<PoolDegradation['reason'], string>> = {
  'engine-away': 'No worker can be made: the Docker engine does not answer.',
  'other-engine':
    'No worker can be made: another Docker engine answers in place of the one that the workers are on.',
  'image-missing': 'No worker can be made: the worker image does not exist on the Docker engine.',
  'disk-full': 'No worker can be made: the disk is full.',
  'worker-start-failed': 'The last worker could not be started.',
};

interface PoolHealth {
  /** Null: as far as known, workers can be made. Failures that affect only single environments do not count. */
  readonly degradation: PoolDegradation | null;
  /** Why no worker of this environment can be made. Null: as far as known, they can be made. */
  degradationFor(environment: string | null): PoolDegradation | null;
  /** @param reason `engine-away`, or `other-engine` if another engine answers in its place */
  engineAway(reason: RuntimeFailure): void;
  engineBack(): void;
  /** @param environment the name of the worker's environment; null if it has none */
  creationFailed(error: unknown, environment: string | null): void;
  creationSucceeded(environment: string | null): void;
}

/** Failures of the engine or of the machine, which affect the workers of all environments. */
const COMMON: readonly PoolDegradation['reason'][] = ['engine-away', 'other-engine', 'disk-full'];

interface Failure {
  readonly degradation: PoolDegradation;
  /** When it last happened. */
  readonly at: number;
}

function createPoolHealth(now: () => Date, onChange: () => void): PoolHealth {
  let away: PoolDegradation | null = null;
  /**
   * By environment. The key null stands for failures that affect all environments, and for those of workers without an
   * environment.
   */
  const failures = new Map<string | null, Failure>();

  function degradation(reason: PoolDegradation['reason'], since: Date): PoolDegradation {
    return { reason, message: `${MESSAGES[reason]} Sessions go on.`, since };
  }

  function recent(environment: string | null): PoolDegradation | null {
    const failure = failures.get(environment);
    if (failure === undefined || now().getTime() - failure.at >= FAILURE_MEMORY_MS) return null;
    return failure.degradation;
  }

  return {
    get degradation() {
      return away ?? recent(null);
    },
    degradationFor: (environment) => {
      const common = away ?? recent(null);
      if (environment === null) return common;
      return common && COMMON.includes(common.reason) ? common : recent(environment);
    },
    engineAway: (reason) => {
      if (away?.reason !== reason) away = degradation(reason, now());
      onChange();
    },
    engineBack: () => {
      const reason = failures.get(null)?.degradation.reason;
      if (reason === 'engine-away' || reason === 'other-engine') failures.delete(null);
      away = null;
      onChange();
    },
    creationFailed: (error, environment) => {
      const reason = error instanceof RuntimeError ? error.kind : 'worker-start-failed';
      const of = COMMON.includes(reason) ? null : environment;
      const before = failures.get(of)?.degradation;
      failures.set(of, {
        degradation: before?.reason === reason ? before : degradation(reason, now()),
        at: now().getTime(),
      });
      onChange();
    },
    creationSucceeded: (environment) => {
      const reason = failures.get(null)?.degradation.reason;
      const isCommonOver = reason !== undefined && COMMON.includes(reason) && failures.delete(null);
      if (failures.delete(environment) || isCommonOver) onChange();
    },
  };
}
