/** The builder's work for environments besides builds: requests rebuilds, and removes what is not needed any more. */

import type { Logger } from 'pino';
import { backOffMs } from '../async/backOffMs.ts';
import {
  decideEnvironment,
  type Environment,
  type EnvironmentReason,
  type EnvironmentRemoveReason,
} from '../domain/environment.ts';
import { messageOf } from '../domain/errors.ts';
import type { EnvironmentId, PoolId } from '../domain/ids.ts';
import { commitChanges, decideAndCommit } from '../events/store/decideAndCommit.ts';
import type { Images } from '../runtime/images.ts';
import { imageNameOf } from './buildVersion.ts';
import { contentHash, hashOf } from './recipe.ts';
import {
  type EnvironmentRequest,
  type RequestDeps,
  requestEnvironment,
} from './requestEnvironment.ts';

/** How long a version is passed over after a failed attempt. */
const RETRY = { firstMs: 5_000, maxMs: 300_000 };

/**
 * Decides which build begins next. A version whose attempt failed is passed over for a while, so that others are built.
 */
interface BuildOrder {
  /** The first of the waiting versions that is not passed over. Null: there is none. */
  next(waiting: readonly Environment[]): Environment | null;
  failed(id: EnvironmentId): void;
}

/** @param nowMs a monotonic clock */
export function createBuildOrder(nowMs: () => number): BuildOrder {
  let failures = new Map<EnvironmentId, { readonly count: number; readonly dueAtMs: number }>();
  return {
    next: (waiting) => {
      const ids = new Set(waiting.map(({ id }) => id));
      failures = new Map([...failures].filter(([id]) => ids.has(id)));
      return waiting.find(({ id }) => (failures.get(id)?.dueAtMs ?? 0) <= nowMs()) ?? null;
    },
    failed: (id) => {
      const count = failures.get(id)?.count ?? 0;
      failures.set(id, { count: count + 1, dueAtMs: nowMs() + backOffMs(RETRY, count) });
    },
  };
}

/** The first pause after a failure. An index, a mirror or disk space may be available again after it. */
const FIRST_PAUSE_MS = 300_000;
const MAX_FAILURES = 8;

/**
 * Whether the gateway itself may request a version to replace `former`. The reason of a failure may be temporary, so a
 * failed build is requested again. The pause doubles each time. After {@link MAX_FAILURES} failures on one worker
 * image, only an operator can request the build again.
 * @param versions all versions that are not removed
 */
export function mayRebuild(
  versions: readonly Environment[],
  former: Environment,
  baseImageId: string,
  now: Date,
): boolean {
  const newer = versions.filter(
    ({ name, number }) => name === former.name && number > former.number,
  );
  if (newer.some(({ state }) => state === 'BUILDING')) return false;
  // Versions that an operator requested do not count, because their spec may differ.
  const failures = newer.filter(
    (each) =>
      each.state === 'FAILED' && each.reason !== 'asked' && each.baseImageId === baseImageId,
  );
  if (failures.length === 0) return true;
  if (failures.length >= MAX_FAILURES) return false;
  const lastMs = Math.max(...failures.map(({ finishedAt }) => finishedAt?.getTime() ?? 0));
  return now.getTime() - lastMs >= FIRST_PAUSE_MS * 2 ** (failures.length - 1);
}

interface EnvironmentUpkeepDeps extends RequestDeps {
  readonly images: Images;
  readonly poolId: PoolId;
  readonly baseImageId: () => Promise<string>;
  readonly logger: Logger;
}

/**
 * Requests a rebuild of each environment whose newest READY version is built on an old worker image, or whose image no
 * longer exists on the engine. Until the rebuild is done, new sessions still get the former version if its image
 * exists.
 */
export async function requestAnew(deps: EnvironmentUpkeepDeps): Promise<void> {
  const versions = await deps.database.queries.environments();
  if (versions.length === 0) return;
  const baseImageId = await deps.baseImageId();
  for (const newest of goodVersions(versions)) {
    const { name, spec } = newest;
    const reason = await reasonToBuild(deps, newest, baseImageId);
    if (reason === null || !mayRebuild(versions, newest, baseImageId, deps.now())) continue;
    const hash = await contentHash(spec, baseImageId).catch((error: unknown) => {
      // The build is requested all the same. Its failure shows all users that the folder cannot be read.
      deps.logger.warn({ name, error: messageOf(error) }, 'the folder of an index cannot be read');
      return hashOf(spec, baseImageId, null);
    });
    // An older READY version with this hash means that another gateway uses another worker image, and has replaced
    // that version. A rebuild here would only undo this.
    const others = versions.filter((each) => each.name === name && each.id !== newest.id);
    if (others.some((each) => each.state === 'READY' && each.hash === hash)) continue;
    const request = { name, spec, reason, baseImageId, hash, isRebuild: true };
    if (await requestInPlaceOf(deps, newest.id, request))
      deps.logger.info({ name, reason }, 'an environment is built anew');
  }
}

/** @returns false if an operator removed the former version meanwhile. Then nothing is built in its place */
async function requestInPlaceOf(
  deps: EnvironmentUpkeepDeps,
  formerId: EnvironmentId,
  request: EnvironmentRequest,
): Promise<boolean> {
  const isThere = async () =>
    (await deps.database.queries.environmentVersion(formerId))?.removedAt === null;
  if (!(await isThere())) return false;
  const { id } = await requestEnvironment(deps, request);
  if (await isThere()) return true;
  await removeVersion(deps, id, 'removed');
  return false;
}

/** The reason for a rebuild. Null: none is needed. */
async function reasonToBuild(
  { images }: EnvironmentUpkeepDeps,
  { baseImageId: builtOn, imageId }: Environment,
  baseImageId: string,
): Promise<EnvironmentReason | null> {
  if (imageId !== null && (await images.bytesOf(imageId)) === null) return 'image-lost';
  return builtOn === baseImageId ? null : 'base-changed';
}

/** The newest READY version of each name. @param versions the newest of each name first */
function goodVersions(versions: readonly Environment[]): Environment[] {
  const ready = versions.filter(({ state }) => state === 'READY');
  return ready.filter((each, at) => ready.findIndex(({ name }) => name === each.name) === at);
}

/**
 * Removes versions that a newer version has replaced.
 * @returns whether some must wait for a build or their workers to end
 */
export async function removeSuperseded(deps: EnvironmentUpkeepDeps): Promise<boolean> {
  const versions = await deps.database.queries.environments();
  const serving = new Map(goodVersions(versions).map((each) => [each.name, each.number]));
  const former = versions.filter(({ name, number }) => number < (serving.get(name) ?? 0));
  if (former.length === 0) return false;
  const used = new Set(await deps.database.queries.imagesOfWorkers());
  const over = former.filter(({ state }) => state !== 'BUILDING');
  const unused = over.filter(({ imageId }) => !used.has(imageId ?? ''));
  for (const { id } of unused) await removeVersion(deps, id, 'superseded');
  return unused.length < former.length;
}

/** Removes a version. Resolves with its state afterwards. Null: there is no such version. */
export async function removeVersion(
  { database: { queries, store }, now }: Pick<RequestDeps, 'database' | 'now'>,
  id: EnvironmentId,
  reason: EnvironmentRemoveReason,
): Promise<Environment | null> {
  await decideAndCommit(store, {
    load: () => queries.environmentVersion(id),
    decide: (state) => {
      if (state === null) return { type: 'refuse', refusal: 'unchanged' } as const;
      const command = { type: 'RemoveEnvironment', at: now().toISOString(), reason } as const;
      const events = decideEnvironment(command, state);
      return commitChanges({ streams: [{ stream: 'environment', id, state, events }] });
    },
  });
  return await queries.environmentVersion(id);
}

/**
 * Removes every image of the pool that neither a version nor a worker needs: images of removed versions, and leftovers
 * of interrupted builds. Call it only while nothing is built.
 * @returns whether some images could not be removed yet, for example because a worker uses them
 */
export async function pruneImages(deps: EnvironmentUpkeepDeps): Promise<boolean> {
  const { database, images, poolId } = deps;
  const { queries } = database;
  const listed = await images.list(poolId);
  if (listed.length === 0) return false;
  const versions = await queries.environments();
  const building = new Set(
    versions.filter(({ state }) => state === 'BUILDING').map(({ id }) => id),
  );
  const needed = new Set(versions.flatMap(({ imageId }) => imageId ?? []));
  const used = new Set(await queries.imagesOfWorkers());
  let isWaiting = false;
  for (const { imageId, environmentId } of listed) {
    // An interrupted build reuses its leftovers when it is attempted again.
    if (environmentId !== null && building.has(environmentId)) continue;
    if (needed.has(imageId)) continue;
    if (used.has(imageId) || !(await removeImage(deps, imageId))) isWaiting = true;
  }
  return isWaiting;
}

/** Removes one image. If that fails, logs the error and returns false, so that the others are removed, too. */
async function removeImage(
  { images, logger }: EnvironmentUpkeepDeps,
  imageId: string,
): Promise<boolean> {
  return await images.remove(imageId).catch((error: unknown) => {
    logger.warn({ error: messageOf(error) }, 'could not remove an unused image');
    return false;
  });
}

/** Marks the images of all serving versions as used, even if no worker uses them now. */
export async function noteUses({
  database: { queries },
  images,
}: EnvironmentUpkeepDeps): Promise<void> {
  for (const version of await queries.servingEnvironments())
    await images.noteUse(version.imageId, imageNameOf(version));
}
