/** Ends sessions on purpose, with the workers that serve them. */

import type { Session } from '../domain/session.ts';
import type { RetireReason } from '../domain/worker.ts';
import { type EndWorkerDeps, endAndSettle, endWorker, UNSETTLED_STATES } from './endWorker.ts';

/**
 * Resolves with the session as closed, its worker removed if the engine answers; null: it was closed already, or used since
 * `idleSince`.
 */
export async function closeSession(
  deps: EndWorkerDeps,
  session: Session,
  reason: RetireReason,
  idleSince?: Date,
): Promise<Session | null> {
  const worker = await deps.database.queries.worker(session.workerId);
  const end = { type: 'retire', reason, ...(idleSince && { idleSince }) } as const;
  return worker && (await endWorker(deps, worker, end));
}

/** Ends every session and worker of the pool, of whichever gateway, and removes whatever else bears its label. @throws if anything is left */
export async function shutDownPool(deps: EndWorkerDeps): Promise<void> {
  const { database, poolId, runtime } = deps;
  const workers = await database.queries.workersInStates(poolId, UNSETTLED_STATES);
  await Promise.all(
    workers.map((worker) => endAndSettle(deps, worker, { type: 'retire', reason: 'shutdown' })),
  );
  for (const left of await runtime.list(poolId)) await runtime.remove({ poolId, ...left });
}
