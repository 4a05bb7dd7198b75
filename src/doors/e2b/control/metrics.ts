/** What sandboxes use. There is no history, so an answer has either the present figures or none. */
import { setTimeout } from 'node:timers/promises';
import { DomainError } from '../../../domain/errors.ts';
import type { WorkerUsage } from '../../../domain/worker.ts';
import { answerJson } from '../../shared/jsonAnswer.ts';
import { refuse } from './newSandbox.ts';
import {
  beginAnswer,
  type ControlCall,
  cpuCountOf,
  factsOf,
  type OpenSandbox,
  openSandbox,
} from './sandboxes.ts';

/** CPU use is measured over this time. It covers two whole periods of Linux's CPU quota, which are 100 ms each. */
const CPU_SAMPLE_MS = 200;
/** Clients send whole seconds, rounded either way. */
const ROUNDING_SECONDS = 1;
/** E2B's own limit. */
const MAX_SANDBOXES = 100;
/** How many sandboxes are measured at a time. Each measurement takes queries and calls to a worker. */
const MAX_PARALLEL = 8;
/** Errors that leave a sandbox out of the answer: it does not exist, or its worker does not answer. */
const UNTOLD: readonly string[] = ['NOT_FOUND', 'POOL_INITIALIZING'];

/** @throws DomainError */
export async function metricsOf(request: ControlCall): Promise<void> {
  const { call, deps } = request;
  const start = secondsIn(call.query, 'start', Number.NEGATIVE_INFINITY);
  const end = secondsIn(call.query, 'end', Number.POSITIVE_INFINITY);
  const sandbox = await openSandbox(request);
  const now = deps.now().getTime() / 1_000;
  const isWanted = start - ROUNDING_SECONDS <= now && now <= end + ROUNDING_SECONDS;
  const metric = isWanted ? await measured(request, sandbox) : null;
  answerJson(call.res, 200, metric === null ? [] : [metric]);
}

/** Answers with the metrics of the running sandboxes in `sandbox_ids`. @throws DomainError */
export async function metricsOfMany(request: ControlCall): Promise<void> {
  const { call } = request;
  const ids = new Set((call.query.get('sandbox_ids') ?? '').split(',').filter((id) => id));
  if (ids.size === 0 || ids.size > MAX_SANDBOXES)
    refuse(`sandbox_ids must have 1 to ${MAX_SANDBOXES} ids.`);
  const waiting = ids.values();
  const sandboxes: Record<string, object> = {};
  const measureNext = async () => {
    for (const id of waiting) {
      const metric = await metricIfThere({ ...request, sandboxId: id });
      if (metric !== null) sandboxes[id] = metric;
    }
  };
  await Promise.all(Array.from({ length: MAX_PARALLEL }, measureNext));
  answerJson(call.res, 200, { sandboxes });
}

/** Null: there is no such sandbox, or its worker does not answer. Neither may fail the metrics of the others. */
async function metricIfThere(request: ControlCall): Promise<object | null> {
  try {
    return await measured(request, await openSandbox(request));
  } catch (error: unknown) {
    if (error instanceof DomainError && UNTOLD.includes(error.code)) return null;
    throw error;
  }
}

/** Null: the sandbox has just ended. @throws POOL_INITIALIZING if its worker does not answer */
async function measured(
  { call, deps }: ControlCall,
  { userUuid, session, sandboxId }: OpenSandbox,
): Promise<object | null> {
  const first = await call.service.workerUsage(userUuid);
  if (first === null) return null;
  await setTimeout(CPU_SAMPLE_MS);
  const last = await call.service.workerUsage(userUuid);
  if (last === null) return null;
  const at = deps.now();
  const { limits } = await factsOf(beginAnswer(call), session, { sandboxId, endAt: at });
  return metricOf(first, last, { at, cpus: limits.cpus });
}

/**
 * A metric in the form of the API, from two measurements of a worker.
 * @param cpus how many CPUs it may use. 100 % means all of these
 */
export function metricOf(
  first: WorkerUsage,
  last: WorkerUsage,
  { at, cpus }: { readonly at: Date; readonly cpus: number },
): object {
  const { clockMs, cacheBytes, diskBytes, diskLimitBytes } = last;
  const share = (last.cpuMs - first.cpuMs) / (Math.max(1, clockMs - first.clockMs) * cpus);
  return {
    timestamp: at.toISOString(),
    timestampUnix: Math.floor(at.getTime() / 1_000),
    cpuCount: cpuCountOf({ cpus }),
    cpuUsedPct: Math.round(Math.max(0, share) * 10_000) / 100,
    memUsed: last.memoryBytes,
    memTotal: last.memoryLimitBytes,
    memCache: cacheBytes,
    diskUsed: diskBytes,
    diskTotal: diskLimitBytes,
  };
}

function secondsIn(query: URLSearchParams, name: string, absent: number): number {
  const text = query.get(name) || null;
  if (text === null) return absent;
  return /^\d{1,15}$/.test(text) ? Number(text) : refuse(`${name} must be a time in seconds.`);
}
