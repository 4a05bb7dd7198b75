import type { Logger } from 'pino';
import type { WorkerId } from '../../domain/ids.ts';
import { isLive, type Worker } from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import type { HeldWorkers } from '../../worker/heldWorkers.ts';

export interface AdoptOrphansDeps {
  readonly database: Database;
  readonly heldWorkers: HeldWorkers;
  readonly logger: Logger;
  /** Brings a worker that is no live one into agreement with the engine, in the background, for that may be away. */
  readonly reconcile: (worker: Worker) => Promise<void>;
  readonly inBackground: (work: Promise<void>) => void;
}

/**
 * Takes over the workers that no live gateway acts for. Each for itself: one that cannot be taken over now does not keep the
 * others waiting.
 */
export function createOrphanAdoption(deps: AdoptOrphansDeps): () => Promise<void> {
  const { leases, queries } = deps.database;
  const settling = new Set<WorkerId>();

  async function adopt(id: WorkerId): Promise<void> {
    const worker = await queries.worker(id);
    if (worker === null) return;
    // Without a look at the engine: while that is away, code goes on and so does its output.
    if (isLive(worker)) {
      await deps.heldWorkers.adopt(worker);
    } else if (!settling.has(id)) {
      settling.add(id);
      deps.inBackground(deps.reconcile(worker).finally(() => settling.delete(id)));
    }
  }

  return async () => {
    const orphans = await leases.orphanedWorkers();
    for (const outcome of await Promise.allSettled(orphans.map(adopt))) {
      if (outcome.status === 'fulfilled') continue;
      deps.logger.error({ err: outcome.reason }, 'a worker could not be taken over; trying again');
    }
  };
}
