/** How many workers there are, and how large each is. */
import { integer, milliseconds } from './setting.ts';

export const WORKERS = {
  minIdleWorkers: integer({
    name: 'MIN_IDLE_WORKERS',
    text: 'How many workers are kept ready.',
    fallback: 2,
    min: 0,
    max: 1_000,
  }),
  maxTotalWorkers: integer({
    name: 'MAX_TOTAL_WORKERS',
    text: 'The highest number of workers: starting, idle and busy together.',
    fallback: 30,
    min: 1,
    max: 1_000,
  }),
  workerMemoryMb: integer({
    name: 'WORKER_MEMORY_MB',
    text: 'How much memory one worker may use.',
    fallback: 512,
    min: 128,
    max: 1_048_576,
    unit: 'MiB',
  }),
  workerCpus: integer({
    name: 'WORKER_CPUS',
    text: 'How many CPUs one worker may use.',
    fallback: 1,
    min: 1,
    max: 512,
  }),
  workerPids: integer({
    name: 'WORKER_PIDS',
    text: 'How many processes and threads one worker may have.',
    fallback: 128,
    min: 32,
    max: 32_768,
  }),
  workerDiskMb: integer({
    name: 'WORKER_DISK_MB',
    text: 'The size of `/home/user`, `/tmp` and `/dev/shm` of one worker together. They are held in memory, in addition to `WORKER_MEMORY_MB`.',
    fallback: 256,
    min: 16,
    max: 1_048_576,
    unit: 'MiB',
  }),
  workerWaitTimeoutMs: milliseconds({
    name: 'WORKER_WAIT_TIMEOUT_MS',
    text: 'How long a call waits for a worker, including its creation.',
    fallback: 60_000,
    min: 0,
  }),
  workerOrphanTimeoutMs: milliseconds({
    name: 'WORKER_ORPHAN_TIMEOUT_MS',
    text: 'A worker ends after this time without contact to a gateway.',
    fallback: 900_000,
    min: 1_000,
  }),
};
