/** What a worker uses, as its agent reports it. */
export interface WorkerUsage {
  /** The time of a clock in the worker that never goes back. With it, two answers give the CPU load between them. */
  readonly clockMs: number;
  /** CPU time since its start. */
  readonly cpuMs: number;
  /** Memory in use, without file cache that could be reclaimed. The files on its disks are part of it. */
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  /** File cache that could be reclaimed. */
  readonly cacheBytes: number;
  /** Bytes on all disks that user code can write to. */
  readonly diskBytes: number;
  readonly diskLimitBytes: number;
  /** How many processes were killed because memory ran out. */
  readonly oomKills: number;
}
