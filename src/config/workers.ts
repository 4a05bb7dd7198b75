/** How many workers there are, how large each is, and who gets them. */
import { isPlainName } from '../domain/text.ts';
import { integer, milliseconds, optional } from './setting.ts';

const MAX_WEIGHT = 1_000;

/** The weights in a text such as `a=2,b=1`, by tenant. Undefined if the text is not allowed, or names one twice. */
function parseWeights(given: string): ReadonlyMap<string, number> | undefined {
  const weights = new Map<string, number>();
  for (const pair of given.split(',')) {
    const [tenant = '', number = '', ...rest] = pair.trim().split('=');
    const weight = /^\d{1,4}$/.test(number) ? Number(number) : 0;
    const isAllowed =
      isPlainName(tenant) && rest.length === 0 && weight >= 1 && weight <= MAX_WEIGHT;
    if (!isAllowed || weights.has(tenant)) return undefined;
    weights.set(tenant, weight);
  }
  return weights;
}

export const WORKERS = {
  minIdleWorkers: integer({
    name: 'MIN_IDLE_WORKERS',
    text: 'How many idle workers the installation keeps ready for new sessions, however many gateways it has.',
    fallback: 2,
    min: 0,
    max: 1_000,
  }),
  minIdleEnvironmentWorkers: integer({
    name: 'MIN_IDLE_ENVIRONMENT_WORKERS',
    text: 'How many idle workers the installation keeps ready for each environment that has open sessions or was asked for within the last hour.',
    fallback: 1,
    min: 0,
    max: 1_000,
  }),
  maxTotalWorkers: integer({
    name: 'MAX_TOTAL_WORKERS',
    text: 'The highest number of workers of the installation: starting, idle and busy together.',
    fallback: 30,
    min: 1,
    max: 1_000,
  }),
  workerMemoryMb: integer({
    name: 'WORKER_MEMORY_MB',
    text: 'How much memory one worker may use, in MiB.',
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
    text: 'The size of `/home/user`, `/tmp` and `/dev/shm` of one worker together, in MiB. They are held in memory, in addition to `WORKER_MEMORY_MB`.',
    fallback: 256,
    min: 16,
    max: 1_048_576,
    unit: 'MiB',
  }),
  workerWaitTimeoutMs: milliseconds({
    name: 'WORKER_WAIT_TIMEOUT_MS',
    text: 'How long a call waits for a worker, which may have to be made first.',
    fallback: 60_000,
    min: 0,
  }),
  /** By tenant. A tenant that is not named has the weight 1. */
  tenantWeights: optional({
    name: 'TENANT_WEIGHTS',
    text: 'The weights of tenants, such as `a=2,b=1`. While several tenants wait for workers, each gets a share of `MAX_TOTAL_WORKERS` in proportion to its weight. A tenant that is not named has the weight 1.',
    whenUnset: '1 each',
    unset: new Map<string, number>(),
    allowed: 'pairs of a tenant and a whole number from 1 to 1000, such as a=2,b=1',
    parse: parseWeights,
  }),
  workerOrphanTimeoutMs: milliseconds({
    name: 'WORKER_ORPHAN_TIMEOUT_MS',
    text: 'A worker ends after this time without contact to a gateway, with its session and running code. A gateway that hangs counts as contact for up to two minutes.',
    fallback: 900_000,
    min: 1_000,
  }),
};
