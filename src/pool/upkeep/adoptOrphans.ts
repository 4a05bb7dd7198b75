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
  /** Reconciles a worker that is not live. Runs in the background, because the engine may be away. */
  readonly reconcile: (worker: Worker) => Promise<void>;
  readonly inBackground: (work: Promise<void>) => void;
}

/**
 * Takes over every worker that is recorded as live and that no other gateway acts for. Nothing in this file asks the
 * engine, so code and its output continue while the engine is away. A worker that died meanwhile is found when the
 * engine is back.
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

/** Returns a function that takes over the workers that no live gateway acts for. */
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

/** Adopts all items at the same time. A failure is logged and does not affect the others. */
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
