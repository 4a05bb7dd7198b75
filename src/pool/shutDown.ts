import { type EndWorkerDeps, endWorker, settleWorker, UNSETTLED_STATES } from './endWorker.ts';

/**
 * Ends every session and worker of the pool, also those of other gateways, and removes every other container with the
 * pool's label. @throws Error if anything is left
 */
export async function shutDown(deps: EndWorkerDeps): Promise<void> {
  const { database, poolId, runtime } = deps;
  const workers = await database.queries.workersInStates(poolId, UNSETTLED_STATES);
  await Promise.all(
    workers.map((worker) => endWorker(deps, worker, { type: 'RetireWorker', reason: 'shutdown' })),
  );
  // What failed above is tried once more; this time the error is thrown.
  const left = await database.queries.workersInStates(poolId, ['RETIRED', 'LOST']);
  await Promise.all(left.map((worker) => settleWorker(deps, worker)));
  for (const stranger of await runtime.list(poolId)) await runtime.remove({ poolId, ...stranger });
}
