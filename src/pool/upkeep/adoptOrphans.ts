import type { Logger } from 'pino';
import type { WorkerId } from '../../domain/ids.ts';
import { isLive, type Worker } from '../../domain/worker.ts';
import type { Database } from '../../events/database.ts';
import type { HeldWorkers } from '../../worker/heldWorkers.ts';

export interface AdoptOrphansDeps {
  readonly database: Database;
  readonly heldWorkers: HeldWorkers;
  readonly logger: Logger;
  /** Reconciles a worker that is not live with the engine. Runs in the background, because the engine may be away. */
  readonly reconcile: (worker: Worker) => Promise<void>;
  readonly inBackground: (work: Promise<void>) => void;
}

/** Takes over the workers that no live gateway acts for. A failure with one of them does not delay the others. */
export function createOrphanAdoption(deps: AdoptOrphansDeps): () => Promise<void> {
  const { leases, queries } = deps.database;
  const settling = new Set<WorkerId>();

  async function adopt(id: WorkerId): Promise<void> {
    const worker = await queries.worker(id);
    if (worker === null) return;
    // The engine is not asked here: even while it is away, running code and its output go on.
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
