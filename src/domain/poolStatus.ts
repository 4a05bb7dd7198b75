/** What is told of the pool. */
export interface PoolStatus {
  readonly totalWorkers: number;
  readonly busyWorkers: number;
  readonly idleWorkers: number;
  readonly startingWorkers: number;
  readonly waitingRequests: number;
  readonly minIdleWorkers: number;
  readonly maxTotalWorkers: number;
  readonly isInitializing: boolean;
  /** Null: nothing is known that keeps workers from being made. */
  readonly degradation: PoolDegradation | null;
}

/** Workers cannot be made, as far as the gateway that answers knows. */
export interface PoolDegradation {
  readonly reason:
    | 'engine-away'
    | 'other-engine'
    | 'image-missing'
    | 'disk-full'
    | 'worker-start-failed';
  /** For whoever asks, without the details that are in the log. */
  readonly message: string;
  readonly since: Date;
}
