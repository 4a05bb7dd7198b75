import { type EndWorkerDeps, endWorker, settleWorker, UNSETTLED_STATES } from './endWorker.ts';

/** Ends every session and worker of the pool, of whichever gateway, and removes whatever else bears its label. @throws if anything is left */
export async function shutDown(deps: EndWorkerDeps): Promise<void> {
  const { database, poolId, runtime } = deps;
  const workers = await database.queries.workersInStates(poolId, UNSETTLED_STATES);
  await Promise.all(
    workers.map((worker) => endWorker(deps, worker, { type: 'RetireWorker', reason: 'shutdown' })),
  );
  // What could not be carried out then says now why.
  const left = await database.queries.workersInStates(poolId, ['RETIRED', 'LOST']);
  await Promise.all(left.map((worker) => settleWorker(deps, worker)));
  for (const stranger of await runtime.list(poolId)) await runtime.remove({ poolId, ...stranger });
}
