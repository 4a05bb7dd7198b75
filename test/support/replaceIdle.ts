import type { Queries } from '../../src/events/queries/createQueries.ts';
import { until } from '../../testkit/until.ts';
import type { ServingGateway } from './servingGateway.ts';

/** Ends the idle workers, and resolves with those that were made in their place: as many, so that the pool is full. */
export async function replaceIdle(
  { pool }: Pick<ServingGateway, 'pool'>,
  queries: Pick<Queries, 'workersInStates'>,
) {
  const idle = () => queries.workersInStates(pool.id, ['IDLE']);
  const { minIdleWorkers } = await pool.status();
  const before = await until('idle workers', async () => {
    const found = await idle();
    return found.length >= minIdleWorkers && found;
  });
  for (const worker of before) await pool.retireIdle(worker);
  const ended = before.map(({ id }) => id);
  return await until('workers in their place', async () => {
    const found = (await idle()).filter(({ id }) => !ended.includes(id));
    return found.length >= minIdleWorkers && found;
  });
}
