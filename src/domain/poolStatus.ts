import type { EnvironmentId } from './ids.ts';

// Each user who waits for a worker has a place in the queue. Gateways share the places through the database, so that
// all serve in the same order.

/** The place of one user among all who wait. All calls of a user share it. */
export interface WaitingPlace {
  readonly tenant: string;
  /** The same text for the same user at every gateway. It does not reveal who the user is. */
  readonly user: string;
  /** When the first of the user's calls began to wait, in milliseconds since 1970, by the clock of its gateway. */
  readonly since: number;
  /** The name of the environment whose worker the user waits for. Null: any worker without an environment. */
  readonly environment: string | null;
}

/** The calls that wait at one gateway. */
export interface WaitingHere {
  /** How many calls of each tenant wait. */
  readonly calls: ReadonlyMap<string, number>;
  /** The places of their users in the order of their turns, as many as other gateways need to know. */
  readonly places: readonly WaitingPlace[];
}

/** How many of the places are for each environment. */
export function countByEnvironment(places: readonly WaitingPlace[]): Map<string | null, number> {
  const counts = new Map<string | null, number>();
  for (const { environment } of places) counts.set(environment, (counts.get(environment) ?? 0) + 1);
  return counts;
}

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

/** The status of the pool for a caller. Fields that only operators may see are null for all other callers. */
export type VisibleStatus = Omit<PoolStatus, OperatorsOnly> & {
  readonly [Name in OperatorsOnly]: PoolStatus[Name] | null;
};

type OperatorsOnly = 'environments' | 'minIdleWorkers' | 'minIdleEnvironmentWorkers';

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
