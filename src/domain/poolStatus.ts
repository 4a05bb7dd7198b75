import type { EnvironmentId } from './ids.ts';

/** Numbers of workers. The first is the sum of the others. */
export interface WorkerNumbers {
  readonly totalWorkers: number;
  readonly busyWorkers: number;
  readonly idleWorkers: number;
  readonly startingWorkers: number;
}

/** The workers of one version of an environment. */
export interface EnvironmentWorkers extends WorkerNumbers {
  readonly environmentId: EnvironmentId;
  readonly name: string;
  readonly version: number;
}

/** The pool's status, as shown by the API, health checks and metrics. */
export interface PoolStatus extends WorkerNumbers {
  /** The workers of environments, which the pool's numbers include. An environment without workers is absent. */
  readonly environments: readonly EnvironmentWorkers[];
  readonly waitingRequests: number;
  readonly minIdleWorkers: number;
  readonly minIdleEnvironmentWorkers: number;
  readonly maxTotalWorkers: number;
  readonly isInitializing: boolean;
  /** Why workers cannot be made now. Null if no obstacle is known. */
  readonly degradation: PoolDegradation | null;
}

/** Why workers cannot be made, as far as the gateway that answers knows. */
export interface PoolDegradation {
  readonly reason:
    | 'engine-away'
    | 'other-engine'
    | 'image-missing'
    | 'disk-full'
    | 'worker-start-failed';
  /** For callers. The details are only in the log. */
  readonly message: string;
  readonly since: Date;
}
