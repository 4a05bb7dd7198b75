import type { Logger } from 'pino';
import type { PoolId, WorkerId } from '../../domain/ids.ts';
import { isLive, type Worker } from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import type { HeldWorkers } from '../../worker/heldWorkers.ts';

export interface AdoptLiveDeps {
  readonly database: Database;
  readonly heldWorkers: HeldWorkers;
  readonly poolId: PoolId;
  readonly logger: Logger;
}

export interface AdoptOrphansDeps extends Omit<AdoptLiveDeps, 'poolId'> {
  /** Brings a worker that is no live one into agreement with the engine, in the background, for that may be away. */
  readonly reconcile: (worker: Worker) => Promise<void>;
  readonly inBackground: (work: Promise<void>) => void;
}

/**
 * Takes over every live worker that no other gateway acts for. Like all of this file without a look at the engine: while that
 * is away, code goes on and so does its output. One that has died unnoticed is found when the engine is back.
 */
export async function adoptLive({
  database,
  heldWorkers,
  logger,
  poolId,
}: AdoptLiveDeps): Promise<void> {
  const workers = await database.queries.workersInStates(poolId, ['IDLE', 'ASSIGNED']);
  await eachForItself(logger, workers, async (worker) => {
    await heldWorkers.adopt(worker);
  });
}

/** Takes over the workers that no live gateway acts for. */
export function createOrphanAdoption(deps: AdoptOrphansDeps): () => Promise<void> {
  const { leases, queries } = deps.database;
  const settling = new Set<WorkerId>();

  async function adopt(id: WorkerId): Promise<void> {
    const worker = await queries.worker(id);
    if (worker === null) return;
    if (isLive(worker)) {
      await deps.heldWorkers.adopt(worker);
    } else if (!settling.has(id)) {
      settling.add(id);
      deps.inBackground(deps.reconcile(worker).finally(() => settling.delete(id)));
    }
  }

  return async () => eachForItself(deps.logger, await leases.orphanedWorkers(), adopt);
}

/** One that cannot be taken over now does not keep the others waiting. */
async function eachForItself<T>(
  logger: Logger,
  items: readonly T[],
  adopt: (item: T) => Promise<void>,
): Promise<void> {
  for (const outcome of await Promise.allSettled(items.map(adopt))) {
    if (outcome.status === 'fulfilled') continue;
    logger.error({ err: outcome.reason }, 'a worker could not be taken over; trying again');
  }
}
