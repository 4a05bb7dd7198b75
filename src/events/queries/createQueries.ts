import type { NewId } from '../../domain/ids.ts';
import type { Client, DatabaseAddress } from '../connection/client.ts';
import type { FreshOutputs } from '../outputs/freshOutputs.ts';
import {
  createEgressQueries,
  createQuotaQueries,
  createRefusalQueries,
  createStoredQueries,
} from './countQueries.ts';
import { createEnvironmentQueries } from './environmentQueries.ts';
import {
  createCommandQueries,
  createExecutionQueries,
  createInputQueries,
  createOutputQueries,
} from './executionQueries.ts';
import {
  createChainQueries,
  createHistoryQueries,
  createListQueries,
  createManyQueries,
} from './listQueries.ts';
import { createOwnerQueries } from './ownerQueries.ts';
import {
  createContextQueries,
  createContextReaderQueries,
  createNotebookQueries,
  createSessionQueries,
} from './sessionQueries.ts';
import { createTokenQueries } from './tokenQueries.ts';
import { createUpkeepQueries, createWorkerQueries } from './workerQueries.ts';

export interface QueriesDeps {
  /** The address of the client's database. */
  readonly address: DatabaseAddress;
  readonly newId: NewId;
  readonly freshOutputs: FreshOutputs;
}

/**
 * All queries on the tables. An answer shows what was committed when it was read. A caller that acts on it commits with
 * the version (or guard) that it saw, and queries again on a ConcurrencyError. States come from projections; only
 * {@link createHistoryQueries} folds events.
 */
export type Queries = ReturnType<typeof createQueries>;

/** All queries on one client, and long ones on a connection of their own. */
export function createQueries(client: Client, { address, newId, freshOutputs }: QueriesDeps) {
  return {
    ...createWorkerQueries(client),
    ...createSessionQueries(client),
    ...createStoredQueries(client, address),
    ...createContextQueries(client),
    ...createContextReaderQueries(client),
    ...createEgressQueries(client),
    ...createEnvironmentQueries(client),
    ...createExecutionQueries(client),
    ...createInputQueries(client),
    ...createOutputQueries(client, freshOutputs),
    ...createOwnerQueries(client, address),
    ...createCommandQueries(client),
    ...createHistoryQueries(client),
    ...createListQueries(client),
    ...createManyQueries(client, freshOutputs),
    ...createNotebookQueries(client),
    ...createQuotaQueries(client),
    ...createRefusalQueries(client),
    ...createTokenQueries(client),
    ...createChainQueries(client),
    ...createUpkeepQueries(client, newId),
  };
}
