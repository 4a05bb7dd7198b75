/** Builds one version: makes its folder, lets the engine build it, tests the image, and records the result. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { withAbort } from '../async/withAbort.ts';
import type { Config } from '../config/config.ts';
import {
  decideEnvironment,
  type Environment,
  type EnvironmentCommand,
  type InstalledPackage,
} from '../domain/environment.ts';
import { messageOf } from '../domain/errors.ts';
import type { NewId, PoolId } from '../domain/ids.ts';
import type { OutputItem } from '../domain/output.ts';
import type { WorkerLimits } from '../domain/worker.ts';
import type { Database } from '../events/database.ts';
import { commitChanges, decideAndCommit } from '../events/store/decideAndCommit.ts';
import { BuildStepError, type BuiltImage, type Images } from '../runtime/images.ts';
import { isEngineAway, type Runtime, RuntimeError } from '../runtime/runtime.ts';
import { type BuildLog, openBuildLog } from './buildLog.ts';
import {
  copyFolder,
  digestOfFolder,
  hashOf,
  INDEX_FOLDER,
  type Recipe,
  recipeOf,
} from './recipe.ts';
import { TrialError, tryImage } from './trial.ts';

const MIB = 1024 * 1024;
/** How many times a build is attempted if gateways or the engine stop during it. */
export const MAX_ATTEMPTS = 20;

export interface BuildDeps {
  readonly config: Config;
  readonly database: Pick<Database, 'queries' | 'store'>;
  readonly images: Images;
  readonly runtime: Runtime;
  readonly poolId: PoolId;
  /** The pool of the workers that test built images. */
  readonly trialPoolId: PoolId;
  readonly limits: WorkerLimits;
  /** Whether this gateway still holds the builder's lease, so that no other gateway can have begun the same build. */
  readonly isBuilder: () => boolean;
  /** The folder for the temporary folders of builds. */
  readonly folder: string;
  readonly newId: NewId;
  readonly now: () => Date;
  readonly logger: Logger;
}

/** The build failed because of the environment itself. The message gives the reason. */
class BuildFailedError extends Error {}

/**
 * Resolves when the version is READY or FAILED, or was removed.
 * @throws the reason of the signal, and errors that are not the environment's fault, for example because the engine or
 * the database is away. The version is then still BUILDING, and another call attempts the build again. There are at
 * most {@link MAX_ATTEMPTS} attempts
 */
export async function buildVersion(
  deps: BuildDeps,
  version: Environment,
  signal: AbortSignal,
): Promise<void> {
  const log = await openBuildLog(deps.database, version.id, deps.now);
  try {
    if (log.formerAttempts >= MAX_ATTEMPTS)
      throw new BuildFailedError(
        `It was begun ${log.formerAttempts} times, and broken off each time, for example because a gateway stopped`,
      );
    const { imageId, bytes, packages } = await withinTime(deps, signal, (limited) =>
      built(deps, version, log, limited),
    );
    log.say(`Built in ${secondsSince(version, deps.now())} s: ${sizeOf(bytes)}.`);
    const outputs = await log.end(null);
    const end = { type: 'RecordEnvironmentBuild', imageId, bytes, packages } as const;
    await record(deps, version, end, outputs);
  } catch (error: unknown) {
    const isLast = log.formerAttempts + 1 >= MAX_ATTEMPTS;
    // If this gateway was paused, the next builder may have caused the failure, because it removes leftovers of builds.
    if (signal.aborted || !deps.isBuilder() || !(isLast || isFinal(error))) {
      if (!signal.aborted) log.say(failureOf(error));
      await log.breakOff().catch(() => undefined);
      signal.throwIfAborted();
      throw error;
    }
    const failure = failureOf(error);
    const outputs = await log.end(failure);
    const lastLines = log.lastLines();
    await record(deps, version, { type: 'RecordBuildFailure', failure, lastLines }, outputs);
  }
}

/** Runs `work` with a signal that is aborted with `signal`, or when ENVIRONMENT_BUILD_TIMEOUT_MS are over. */
async function withinTime<T>(
  { config: { environmentBuildTimeoutMs: limitMs } }: BuildDeps,
  signal: AbortSignal,
  work: (limited: AbortSignal) => Promise<T>,
): Promise<T> {
  return await withAbort(signal, async (own) => {
    const late = `It has taken longer than ENVIRONMENT_BUILD_TIMEOUT_MS (${limitMs} ms)`;
    delay(limitMs, undefined, { signal: own.signal }).then(
      () => own.abort(new BuildFailedError(late)),
      () => undefined,
    );
    return await work(own.signal);
  });
}

interface Built extends BuiltImage {
  readonly packages: readonly InstalledPackage[];
}

async function built(
  deps: BuildDeps,
  version: Environment,
  log: BuildLog,
  signal: AbortSignal,
): Promise<Built> {
  const { config, images, poolId } = deps;
  const { spec, baseImageId } = version;
  await mkdir(deps.folder, { recursive: true });
  const folder = await mkdtemp(join(deps.folder, 'build-'));
  try {
    const labels = images.labels({ poolId, environmentId: version.id });
    const recipe = recipeOf({ spec, baseImageId, labels });
    await writeFolder(folder, version, recipe, signal);
    const image = await images
      .build(
        {
          ...{ poolId, environmentId: version.id, folder, name: imageNameOf(version) },
          ...{ memoryMb: config.environmentBuildMemoryMb, cpus: config.environmentBuildCpus },
          network: config.buildNetwork,
        },
        { onText: log.add, signal },
      )
      .catch((error: unknown) => {
        throw error instanceof BuildStepError ? stepFailed(error, recipe, log) : error;
      });
    await requireSize(deps, image, baseImageId);
    log.say('The image is tested: a worker starts from it, and its kernel computes 1+1.');
    const packages = await tryImage(
      { ...deps, poolId: deps.trialPoolId },
      image.imageId,
      signal,
    ).catch((error: unknown) => {
      throw error instanceof TrialError
        ? new BuildFailedError(`The image was built, but ${error.message}`, { cause: error })
        : error;
    });
    return { ...image, packages };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Fills the build's folder, including a copy of the index folder as it is now. @throws BuildFailedError */
async function writeFolder(
  folder: string,
  version: Environment,
  recipe: Recipe,
  signal: AbortSignal,
): Promise<void> {
  const { spec, baseImageId, hash } = version;
  await writeFile(join(folder, 'Dockerfile'), recipe.text);
  for (const [name, text] of Object.entries(recipe.files))
    await writeFile(join(folder, name), text);
  if (!spec.index?.startsWith('/')) return;
  const copy = join(folder, INDEX_FOLDER);
  const digest = await copyFolder(spec.index, copy, { signal })
    .then(() => digestOfFolder(copy, { signal }))
    .catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new BuildFailedError(
        `The folder of the index cannot be copied on the gateway's machine (${messageOf(cause)})`,
        { cause },
      );
    });
  if (hashOf(spec, baseImageId, digest) !== hash)
    throw new BuildFailedError(
      'The folder of the index is no longer as it was when the environment was asked for. Ask for it again',
    );
}

/** `repository:tag`. The last digits of the id tell installations on one engine apart. */
export function imageNameOf({ id, name, number }: Pick<Environment, 'id' | 'name' | 'number'>) {
  return `cellhouse-environment:${name}-${number}-${id.slice(-8)}`;
}

function stepFailed(error: BuildStepError, { failures }: Recipe, log: BuildLog): BuildFailedError {
  const what = failures[error.step - 1] ?? 'The engine could not build it';
  const last = log.lastLines().split('\n').at(-1)?.trim();
  // If a program failed, its last line is more useful than the engine's message, which only repeats the command.
  const why = error.exitCode === null ? error.message : last;
  const exit = error.exitCode === null ? '' : `, exit code ${error.exitCode}`;
  return new BuildFailedError(`${what}${exit}${why ? `: ${why}` : ''}`, { cause: error });
}

async function requireSize(
  { config: { environmentMaxMb }, images }: BuildDeps,
  { bytes }: BuiltImage,
  baseImageId: string,
): Promise<void> {
  const added = bytes - ((await images.bytesOf(baseImageId)) ?? 0);
  if (added <= environmentMaxMb * MIB) return;
  throw new BuildFailedError(
    `It takes ${Math.ceil(added / MIB)} MiB beside the worker image, and ENVIRONMENT_MAX_MB is ${environmentMaxMb}`,
  );
}

/** Whether another attempt would fail, too. It may succeed if only the engine or the database was away. */
function isFinal(error: unknown): boolean {
  if (isEngineAway(error)) return false;
  return error instanceof BuildFailedError || error instanceof RuntimeError || isOfEngine(error);
}

/** Whether the engine refused a request, for example because a network does not exist. */
function isOfEngine(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error;
}

/** The error's message as one sentence, without NUL, which PostgreSQL rejects. */
function failureOf(error: unknown): string {
  const message = messageOf(error).replaceAll('\0', '').trim();
  return /[.!?]$/.test(message) ? message : `${message}.`;
}

function secondsSince({ requestedAt }: Environment, now: Date): number {
  return Math.round((now.getTime() - requestedAt.getTime()) / 1_000);
}

function sizeOf(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB with the worker image`;
}

type WithoutTime<T> = T extends unknown ? Omit<T, 'at'> : never;
type End = WithoutTime<
  Extract<EnvironmentCommand, { type: 'RecordEnvironmentBuild' | 'RecordBuildFailure' }>
>;

const UNCHANGED = { type: 'refuse', refusal: 'unchanged' } as const;

async function record(
  { database: { queries, store }, now }: BuildDeps,
  { id }: Environment,
  end: End,
  outputs: readonly OutputItem[],
): Promise<void> {
  await decideAndCommit(store, {
    load: () => queries.environmentVersion(id),
    decide: (state) => {
      // The version was removed, or another gateway has built it while this gateway was paused.
      if (state?.state !== 'BUILDING' || state.removedAt !== null) return UNCHANGED;
      const events = decideEnvironment({ ...end, at: now().toISOString() }, state);
      return commitChanges({
        streams: [{ stream: 'environment', id, state, events }],
        outputs,
      });
    },
  });
}
