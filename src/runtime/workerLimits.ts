import type { Config } from '../config/config.ts';
import type { WorkerLimits } from '../domain/worker.ts';

/** The configured resource limits of each worker. */
export function workerLimits(config: Config): WorkerLimits {
  return {
    memoryMb: config.workerMemoryMb,
    diskMb: config.workerDiskMb,
    cpus: config.workerCpus,
    pids: config.workerPids,
  };
}
