/** The pool's status, as shown by the API, health checks and metrics. */
export interface PoolStatus {
  readonly totalWorkers: number;
  readonly busyWorkers: number;
  readonly idleWorkers: number;
  readonly startingWorkers: number;
  readonly waitingRequests: number;
  readonly minIdleWorkers: number;
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
