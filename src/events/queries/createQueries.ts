import type { NewId } from '../../domain/ids.ts';
import type { Client } from '../connection/client.ts';
import type { RecentOutputs } from '../outputs/recentOutputs.ts';
import { createCommandQueries } from './commandQueries.ts';
import { createExecutionQueries } from './executionQueries.ts';
import { createHistoryQueries } from './historyQueries.ts';
import { createListQueries } from './listQueries.ts';
import { createManyQueries } from './manyQueries.ts';
import { createOutputQueries } from './outputQueries.ts';
import type { Queries } from './queries.ts';
import { createSessionQueries } from './sessionQueries.ts';
import { createUpkeepQueries } from './upkeepQueries.ts';
import { createWorkerQueries } from './workerQueries.ts';

export interface QueriesDeps {
  readonly newId: NewId;
  readonly recentOutputs: RecentOutputs;
}

/** All queries on one client. */
export function createQueries(client: Client, { newId, recentOutputs }: QueriesDeps): Queries {
  return {
    ...createWorkerQueries(client),
    ...createSessionQueries(client),
    ...createExecutionQueries(client),
    ...createOutputQueries(client),
    ...createCommandQueries(client),
    ...createHistoryQueries(client),
    ...createListQueries(client),
    ...createManyQueries(client, recentOutputs),
    ...createUpkeepQueries(client, newId),
  };
}
