/** What doctor asks of the Docker engine, and of a real worker on it. */
import { existsSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { explain, hasCode, messageOf } from '../domain/errors.ts';
import type { PoolId, WorkerId } from '../domain/ids.ts';
import { trialPoolOf } from '../environments/environments.ts';
import { runInTrial, TrialError } from '../environments/trial.ts';
import type { PoolIdentity } from '../events/queries/workerQueries.ts';
import { noEngine } from '../pool/poolOfEngine.ts';
import { newId } from '../process/newId.ts';
import { createDockerRuntime } from '../runtime/docker/dockerRuntime.ts';
import { askEngine, type DescribedEngine, imageBuiltAt } from '../runtime/docker/engineCalls.ts';
import { socketFolder } from '../runtime/docker/workerSocket.ts';
import {
  otherEngine,
  type Runtime,
  RuntimeError,
  requireRuntime,
  workerLimits,
} from '../runtime/runtime.ts';
import { type Finding, failure, failureSaying, ok, unknown, warning } from './finding.ts';
import { judgeWalls, parseWalls, WALLS_CODE } from './walls.ts';

/** Even a busy engine answers within this time. */
const ENGINE_LIMIT_MS = 5_000;
/**
 * A worker starts in about a second, and under gVisor in two. This is the limit of a first attempt and a second one
 * together. The limit of the whole check (doctor.ts) leaves 10 s more to remove the worker.
 */
const WORKER_LIMIT_MS = 25_000;
const MS_PER_DAY = 86_400_000;
/** Debian's point releases, which have all security updates up to then, come every two months. */
const OLD_IMAGE_DAYS = 60;

export interface EngineReport {
  readonly findings: readonly Finding[];
  /** Null: it does not answer. */
  readonly engine: DescribedEngine | null;
}

export async function checkEngine(config: Config): Promise<EngineReport> {
  const address = config.dockerSocketPath;
  let engine: DescribedEngine;
  try {
    engine = await askEngine(address, ENGINE_LIMIT_MS);
  } catch (error: unknown) {
    const found = judgeNoEngine(address, error);
    const after = 'Not checked, because the engine does not answer.';
    return {
      engine: null,
      findings: [found, unknown('runtime', after), unknown('live-restore', after)],
    };
  }
  return { engine, findings: judgeEngine(engine, config) };
}

/** Pure. @param error what the engine's client has said */
export function judgeNoEngine(address: string, error: unknown): Finding {
  return hasCode(error, 'EACCES')
    ? failure('engineDenied', address)
    : failureSaying('engineAway', noEngine(address, error).message);
}

/** Pure. */
export function judgeEngine(
  engine: DescribedEngine,
  config: Pick<Config, 'dockerSocketPath' | 'dockerRuntime'>,
): Finding[] {
  const { version, unlimited, keepsContainers } = engine;
  return [
    unlimited.length > 0
      ? failure('engineLimits', unlimited.join(', '))
      : ok('engine', `Docker ${version} answers at ${config.dockerSocketPath}.`),
    judgeRuntime(engine, config),
    keepsContainers
      ? ok('live-restore', 'Workers go on while the engine restarts.')
      : warning('liveRestore'),
  ];
}

function judgeRuntime(
  engine: DescribedEngine,
  config: Pick<Config, 'dockerSocketPath' | 'dockerRuntime'>,
): Finding {
  try {
    requireRuntime(engine, config);
    return ok('runtime', `The engine knows the runtime ${config.dockerRuntime}.`);
  } catch (error: unknown) {
    return failureSaying('runtimeUnknown', messageOf(error));
  }
}

/** Whether the engine is the one that has this installation's workers. */
export function judgeSameEngine(
  { dockerSocketPath }: Pick<Config, 'dockerSocketPath'>,
  { engine, pool }: { readonly engine: DescribedEngine | null; readonly pool: PoolIdentity | null },
): Finding {
  if (engine === null || pool === null)
    return unknown(
      'same-engine',
      'Not checked: it needs the engine, and a database that a gateway has used.',
    );
  if (engine.id === pool.engineId)
    return ok('same-engine', "This installation's workers are on this engine.");
  return failureSaying('otherEngine', otherEngine(pool.engineId, engine, dockerSocketPath).message);
}

export interface WorkerCheckDeps {
  readonly config: Config;
  /** WORKER_IMAGE, or the name under which `npm start` builds the image. */
  readonly workerImage: string;
  readonly engine: DescribedEngine;
  readonly pool: PoolIdentity | null;
  readonly logger: Logger;
}

/**
 * Whether the image is there, and whether a worker starts, runs code and is isolated (walls.ts). The worker belongs to
 * the pool of trials. If doctor is killed, the worker ends by itself after a minute. Its container is then removed by
 * the builder of environments or, if there is no pool yet, by the next doctor.
 */
export async function checkWorker(deps: WorkerCheckDeps): Promise<Finding[]> {
  const { config, workerImage, engine, pool } = deps;
  const { dockerSocketPath: socketPath, socketDir, dockerRuntime: ociRuntime } = config;
  const runtime = createDockerRuntime({
    ...{ engineId: engine.id, socketPath, socketDir, ociRuntime, logger: deps.logger },
  });
  let imageId: string;
  try {
    imageId = await runtime.imageId(workerImage);
  } catch (error: unknown) {
    if (!(error instanceof RuntimeError) || error.kind !== 'image-missing') throw error;
    return [failureSaying('imageMissing', error.message), ...notTried('there is no image')];
  }
  const builtAt = await imageBuiltAt(socketPath, imageId, ENGINE_LIMIT_MS);
  const image = judgeImage(workerImage, builtAt, new Date());
  if (judgeRuntime(engine, config).state !== 'ok')
    return [image, ...notTried('the engine does not know the runtime')];
  const poolId = trialPoolOf(pool?.poolId ?? `doctor of ${config.dataDir}`);
  const trial = { runtime, poolId, limits: workerLimits(config), newId, logger: deps.logger };
  // If the installation has no pool yet, only doctor uses this pool of trials. So workers of an earlier doctor can be
  // removed.
  if (pool === null) await removeLeft(runtime, poolId);
  const hadFolder = existsSync(socketDir);
  const startedAt = performance.now();
  try {
    const printed = await repeatedOnce(AbortSignal.timeout(WORKER_LIMIT_MS), (signal) =>
      runInTrial(trial, { imageId, code: WALLS_CODE }, signal),
    );
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    const started = ok('worker', `A worker started, ran code and was removed in ${seconds} s.`);
    const judged = judgeWalls(parseWalls(printed), { limits: workerLimits(config), ociRuntime });
    return [image, started, ...judged];
  } catch (error: unknown) {
    const isLate = error instanceof Error && error.name === 'TimeoutError';
    const reason = isLate
      ? `it was not ready within ${WORKER_LIMIT_MS / 1_000} s`
      : explain(error).replaceAll(/\n\s*/g, ' ');
    return [
      image,
      failure('workerFailed', reason),
      unknown('walls', 'Not checked: no worker started.'),
    ];
  } finally {
    const ofPool = dirname(socketFolder(socketDir, { poolId, workerId: newId<WorkerId>() }));
    if (pool === null) await removeEmpty(hadFolder ? [ofPool] : [ofPool, socketDir]);
  }
}

/** Pure. */
export function judgeImage(name: string, builtAt: Date, now: Date): Finding {
  const days = Math.floor((now.getTime() - builtAt.getTime()) / MS_PER_DAY);
  const day = builtAt.toISOString().slice(0, 10);
  return days > OLD_IMAGE_DAYS
    ? warning('imageOld', name, days)
    : ok('image', `The worker image ${name} is on the engine. It was built on ${day}.`);
}

function notTried(why: string): Finding[] {
  return (['worker', 'walls'] as const).map((check) => unknown(check, `Not checked: ${why}.`));
}

/** Repeats a failed trial once, because a gateway that cleans up after trials may have removed the worker. */
async function repeatedOnce<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await work(signal);
  } catch (error: unknown) {
    if (!(error instanceof TrialError) || signal.aborted) throw error;
    return await work(signal);
  }
}

async function removeLeft(runtime: Runtime, poolId: PoolId): Promise<void> {
  for (const { workerId, containerId } of await runtime.list(poolId))
    await runtime.remove({ poolId, workerId, containerId });
}

/** Removes these folders in order, if they are empty. */
async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders)
    await rmdir(folder).catch((error: unknown) => {
      if (!hasCode(error, 'ENOTEMPTY') && !hasCode(error, 'ENOENT')) throw error;
    });
}
