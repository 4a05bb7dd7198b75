/** Ends sessions on purpose, with the workers that serve them. */
import type { RetireReason } from '../events/eventTypes.ts';
import type { Session } from '../events/states.ts';
import { type EndWorkerDeps, endAndSettle, recordEnd } from './endWorker.ts';

/** Resolves when the worker is removed, with the session as closed; null: it was closed already. */
export async function closeSession(
  deps: EndWorkerDeps,
  session: Session,
  reason: RetireReason,
): Promise<Session | null> {
  const closed = await recordEnd(deps, session.workerId, { type: 'retire', reason });
  const worker = await deps.database.queries.worker(session.workerId);
  if (worker && worker.state !== 'REMOVED') {
    await endAndSettle(deps, worker, { type: 'retire', reason });
  }
  return closed;
}

/** Ends every session and worker of the pool, of whichever gateway, and removes whatever else bears its label. */
export async function shutDownPool(deps: EndWorkerDeps): Promise<void> {
  const { database, poolId, runtime } = deps;
  const workers = await database.queries.workersInStates(poolId, [
    'REQUESTED',
    'STARTING',
    'IDLE',
    'ASSIGNED',
    'RETIRED',
    'LOST',
  ]);
  await Promise.all(
    workers.map((worker) => endAndSettle(deps, worker, { type: 'retire', reason: 'shutdown' })),
  );
  for (const { containerId } of await runtime.list(poolId)) await runtime.remove(containerId);
}
