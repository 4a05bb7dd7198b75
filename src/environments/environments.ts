/**
 * The environments of an installation. The gateway with the lease `environments`, called the builder, builds for all
 * gateways, one version at a time. If it dies, another gateway takes the lease and begins the build again.
 *
 * ```
 *  waiting --lease acquired--> builder --lease lost, closed--> waiting
 * ```
 */
import { hash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Logger } from 'pino';
import { pause } from '../async/pause.ts';
import { withAbort } from '../async/withAbort.ts';
import { within } from '../async/within.ts';
import type { Environment, EnvironmentSpec } from '../domain/environment.ts';
import { messageOf } from '../domain/errors.ts';
import type { EnvironmentId, PoolId } from '../domain/ids.ts';
import type { Database } from '../events/database.ts';
import { isEngineAway } from '../runtime/runtime.ts';
import { type BuildDeps, buildVersion } from './buildVersion.ts';
import { contentHash } from './recipe.ts';
import { removeTrials } from './trial.ts';
import {
  createBuildOrder,
  noteUses,
  pruneImages,
  removeSuperseded,
  requestAnew,
} from './upkeep.ts';

/** How often each gateway tries to become the builder, and the builder looks for versions to build. */
const POLL_INTERVAL_MS = 1_000;
/** How often the builder looks for a new worker image, and for images that are not needed any more. */
const UPKEEP_INTERVAL_MS = 30_000;
/** The interval while only workers still use some images. These images can be removed soon. */
const WORKERS_POLL_INTERVAL_MS = 5_000;
/** The pause after a failed round, so that an engine that is away is not asked all the time. */
const RETRY_INTERVAL_MS = 5_000;
/** How long `close()` waits for a running build to stop. */
const CLOSE_TIMEOUT_MS = 5_000;
/**
 * How often the builder marks the images of serving versions as used. `scripts/setup/pruneImages.mjs` removes images
 * that were unused for 30 days.
 */
const USE_INTERVAL_MS = 86_400_000;
const BUILDER_LEASE = 'environments';

export interface EnvironmentsDeps
  extends Omit<BuildDeps, 'trialPoolId' | 'database' | 'isBuilder'> {
  readonly database: Pick<Database, 'queries' | 'store' | 'leases' | 'wakeUps'>;
  /** Tag or id of the worker image. */
  readonly workerImage: string;
  readonly logger: Logger;
}

export interface Environments {
  /** The id of the worker image that environments are built on now. @throws RuntimeError */
  baseImageId(): Promise<string>;
  /** See {@link contentHash}. */
  hashOf(spec: EnvironmentSpec, baseImageId: string): Promise<string>;
  start(): void;
  /** Stops the running build, which another gateway can begin again. Idempotent. */
  close(): Promise<void>;
}

export function createEnvironments(deps: EnvironmentsDeps): Environments {
  const { database, runtime, logger } = deps;
  const { leases, queries } = database;
  const closing = new AbortController();
  const { signal } = closing;
  const baseImageId = () => runtime.imageId(deps.workerImage);
  const all = {
    ...{ ...deps, baseImageId, trialPoolId: trialPoolOf(deps.poolId) },
    isBuilder: () => leases.isHeld(BUILDER_LEASE),
  };
  const buildOrder = createBuildOrder(() => performance.now());
  let working: Promise<void> = Promise.resolve();
  let wake = () => {};
  let isBuilder = false;
  let upkeepDueAt = 0;
  let usesDueAt = 0;
  let building: { readonly id: EnvironmentId; stop(reason: Error): void } | null = null;

  async function round(): Promise<void> {
    if (!all.isBuilder()) {
      isBuilder = false;
      if ((await leases.acquire(BUILDER_LEASE)) === null) return;
    }
    if (!isBuilder) {
      upkeepDueAt = 0;
      isBuilder = true;
    }
    if (performance.now() >= upkeepDueAt) await keep();
    const next = buildOrder.next(await queries.environmentsToBuild());
    if (next === null) return;
    await build(next);
    upkeepDueAt = 0;
    await round();
  }

  async function keep(): Promise<void> {
    let isWaiting = false;
    for (const part of [removeTrials, requestAnew, removeSuperseded, pruneImages])
      isWaiting = (await part(all).catch(failedUpkeep)) === true || isWaiting;
    if (performance.now() >= usesDueAt) {
      await noteUses(all).catch(failedUpkeep);
      usesDueAt = performance.now() + USE_INTERVAL_MS;
    }
    const intervalMs = isWaiting ? WORKERS_POLL_INTERVAL_MS : UPKEEP_INTERVAL_MS;
    upkeepDueAt = performance.now() + intervalMs;
  }

  /** Rethrows the error if the engine is away, because then nothing can be built. Other failures do not stop builds. */
  function failedUpkeep(error: unknown): void {
    if (isEngineAway(error)) throw error;
    const details = { error: messageOf(error) };
    logger.error(details, 'the upkeep of environments failed; it is tried again');
  }

  async function build(version: Environment): Promise<void> {
    const { id, name, number } = version;
    logger.info({ name, number }, 'an environment is being built');
    await withAbort(signal, async (own) => {
      building = { id, stop: (reason) => own.abort(reason) };
      const offLost = leases.onLost((lost) => {
        if (lost === BUILDER_LEASE) own.abort(new Error('Another gateway builds now.'));
      });
      try {
        await buildVersion(all, version, own.signal);
      } catch (error: unknown) {
        if (error instanceof RemovedError) return;
        if (own.signal.aborted) throw error;
        buildOrder.failed(id);
        if (isEngineAway(error)) throw error;
        const details = { name, number, error: messageOf(error) };
        logger.error(details, 'a build was interrupted; it is attempted again later');
      } finally {
        building = null;
        offLost();
      }
    });
  }

  async function work(): Promise<void> {
    while (!signal.aborted) {
      await withAbort(signal, async (own) => {
        wake = () => own.abort();
        let pauseMs = POLL_INTERVAL_MS;
        await round().catch((error: unknown) => {
          if (signal.aborted) return;
          pauseMs = RETRY_INTERVAL_MS;
          // The next round begins with the upkeep, which shows whether the engine answers again.
          upkeepDueAt = 0;
          const details = { error: messageOf(error) };
          logger.error(details, 'a round of the environments failed; the next one tries again');
        });
        await pause(pauseMs, own.signal);
      });
    }
  }

  const off = database.wakeUps.onEvent(({ event, streamId }) => {
    if (event.type === 'EnvironmentRequested') wake();
    if (event.type !== 'EnvironmentRemoved') return;
    if (building !== null && streamId === building.id)
      building.stop(new RemovedError('The environment was removed.'));
    upkeepDueAt = 0;
    wake();
  });

  return {
    baseImageId,
    hashOf: contentHash,
    start: () => {
      working = rm(deps.folder, { recursive: true, force: true })
        .catch((error: unknown) => {
          const details = { error: messageOf(error) };
          logger.warn(details, 'could not remove the folders of interrupted builds; they are left');
        })
        .then(work);
    },
    close: async () => {
      off();
      closing.abort(new Error('The gateway stops.'));
      await within(CLOSE_TIMEOUT_MS, working, () => undefined);
      if (leases.isHeld(BUILDER_LEASE)) await leases.release(BUILDER_LEASE);
    },
  };
}

class RemovedError extends Error {}

/**
 * The pool of the workers that test built images. Its id is derived from the pool's id, so that every gateway finds the
 * workers that another gateway left behind.
 * @param installation the pool's id. Doctor names an installation that has no pool yet by its DATA_DIR, which is why any
 * string will do
 */
export function trialPoolOf(installation: string): PoolId {
  const digits = hash('sha256', `trials ${installation}`);
  return [8, 12, 16, 20, 32]
    .map((end, at, ends) => digits.slice(at === 0 ? 0 : ends[at - 1], end))
    .join('-') as PoolId;
}
