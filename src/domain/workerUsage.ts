/** What a worker uses, as its agent tells. */
export interface WorkerUsage {
  /** A clock of the worker that never goes back. Two answers give the CPU time of the time between them. */
  readonly clockMs: number;
  /** Since its start. */
  readonly cpuMs: number;
  /** Memory in use, without file cache that could be reclaimed. The files on its disks are part of it. */
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  /** File cache that could be reclaimed. */
  readonly cacheBytes: number;
  /** What all disks that user code can write to hold. */
  readonly diskBytes: number;
  readonly diskLimitBytes: number;
  /** How many processes were killed because memory ran out. */
  readonly oomKills: number;
}
