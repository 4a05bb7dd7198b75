/** One value that gives access to everything durable. {@link openDatabase} (openDatabase.ts) makes it. */
import type { Logger } from 'pino';
import type { DatabaseFaults } from '../domain/databaseFaults.ts';
import type { GatewayId, NewId } from '../domain/ids.ts';
import type { Leases } from './leases/leases.ts';
import type { FirstUse } from './migrations/firstUse.ts';
import type { Queries } from './queries/createQueries.ts';
import type { TokenQueries } from './queries/tokenQueries.ts';
import type { EventStore } from './store/eventStore.ts';
import type { WaitingRequests } from './wakeUps/waitingRequests.ts';
import type { WakeUps } from './wakeUps/wakeUps.ts';

export interface DatabaseDeps {
  readonly gatewayId: GatewayId;
  readonly logger: Logger;
  readonly newId: NewId;
}

export type TokenReads = Pick<TokenQueries, 'changedTokens' | 'validTokens'>;

export interface Database {
  /** The gateway that commits here. The metadata of its events contains this id. */
  readonly gatewayId: GatewayId;
  readonly store: EventStore;
  readonly queries: Queries;
  readonly leases: Leases;
  readonly wakeUps: WakeUps;
  readonly waiting: WaitingRequests;
  readonly firstUse: FirstUse;
  /** Reads of tokens on a connection of their own. They do not wait behind other reads, and fail after 2 s. */
  readonly tokenReads: TokenReads;
  /**
   * Resolves with a message for the operator when this gateway cannot go on with the database: a later release has
   * changed it so that this release is too old, or it was replaced by an older copy of itself.
   */
  readonly unusable: Promise<string>;
  /** Resolves with the same message if it was replaced by an older copy of itself. */
  readonly historyLost: Promise<string>;
  readonly faults: Readonly<DatabaseFaults>;
  /**
   * One cheap round trip, for readiness checks.
   * @throws Error if the database does not answer within 2 s
   */
  ping(): Promise<void>;
  /** Finishes the waiting commits, gives up the leases, stops the wake-ups and ends all connections. Idempotent. */
  close(): Promise<void>;
}
