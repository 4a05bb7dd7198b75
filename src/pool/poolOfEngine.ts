import type { PoolId } from '../domain/ids.ts';
import type { Queries } from '../events/queries/createQueries.ts';
import type { Engine } from '../runtime/runtime.ts';

/**
 * The installation's pool, created at the first call. A pool belongs to one engine: on another, all its containers
 * would look lost.
 * @param address where the engine answers, for the error message
 * @throws Error that says what to do, if the pool was created on another engine
 */
export async function poolOfEngine(
  queries: Pick<Queries, 'poolIdentity'>,
  { id: engineId }: Engine,
  address: string,
): Promise<PoolId> {
  const identity = await queries.poolIdentity(engineId);
  if (identity.engineId !== engineId) {
    throw new Error(
      `This installation's workers are on the Docker engine ${identity.engineId}; the one at ${address} is ${engineId}. Set DOCKER_HOST to the former, or start on another DATA_DIR or DATABASE_URL.`,
    );
  }
  return identity.poolId;
}
