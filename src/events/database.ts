/** Everything durable, behind one value. {@link openDatabase} (openDatabase.ts) makes it. */
import type { Logger } from 'pino';
import type { GatewayId, NewId } from '../domain/ids.ts';
import type { Leases } from './leases/leases.ts';
import type { Queries } from './queries/createQueries.ts';
import type { EventStore } from './store/eventStore.ts';
import type { WaitingRequests } from './wakeUps/waitingRequests.ts';
import type { WakeUps } from './wakeUps/wakeUps.ts';

export interface DatabaseDeps {
  readonly gatewayId: GatewayId;
  readonly logger: Logger;
  readonly newId: NewId;
}

export interface Database {
  /** Who commits through this: its events say so. */
  readonly gatewayId: GatewayId;
  readonly store: EventStore;
  readonly queries: Queries;
  readonly leases: Leases;
  readonly wakeUps: WakeUps;
  readonly waiting: WaitingRequests;
  /** Resolves with what to tell the operator once a later release has made the database one that this one is too old for. */
  readonly outdated: Promise<string>;
  /** One cheap round trip, for readiness. @throws Error if the database does not answer within a named limit */
  ping(): Promise<void>;
  /** Idempotent: gives up the leases, stops waking, and ends all connections once the waiting commits are done. */
  close(): Promise<void>;
}
