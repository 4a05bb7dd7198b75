/**
 * The entry point to all durable data: opens the database and everything that works on it, and closes it in reverse
 * order.
 */

import type { Logger } from 'pino';
import { closeAll } from '../async/closeAll.ts';
import { within } from '../async/within.ts';
import type { DatabaseFaults } from '../domain/databaseFaults.ts';
import { messageOf } from '../domain/errors.ts';
import type { GatewayId } from '../domain/ids.ts';
import {
  type Client,
  type ClientOptions,
  createClient,
  type DatabaseAddress,
  pauseBetween,
} from './connection/client.ts';
import type { Database, DatabaseDeps } from './database.ts';
import { createLeases, type Leases } from './leases/leases.ts';
import { createFirstUse } from './migrations/firstUse.ts';
import { migrate, type Release, readRelease, watchCompatibility } from './migrations/migrate.ts';
import { createFreshOutputs } from './outputs/freshOutputs.ts';
import { createQueries } from './queries/createQueries.ts';
import { createTokenQueries } from './queries/tokenQueries.ts';
import { createEventStore } from './store/createEventStore.ts';
import { isAway } from './store/databaseErrors.ts';
import { DatabaseAwayError } from './store/eventStore.ts';
import { hasHistoryUpTo, readKnownAfter, readLastMark } from './store/readEvents.ts';
import { createWaitingRequests } from './wakeUps/waitingRequests.ts';
import { createWakeUps, type FedWakeUps } from './wakeUps/wakeUps.ts';

/** Shared by the reads of all requests. More connections were not faster. */
const READ_CONNECTIONS = 6;
/** How long a running statement may delay the closing of its connection. */
const CLOSE_TIMEOUT_MS = 2_000;

/**
 * Brings the tables up to date and connects.
 * @throws Error with the cause if the database cannot be reached or migrated. No connection stays open then.
 */
export async function openDatabase(
  address: DatabaseAddress,
  deps: DatabaseDeps,
): Promise<Database> {
  const release = readRelease();
  await migrate(address, release);
  const clients = createClients(address, deps.gatewayId);
  const wakeUps = createWakeUps({
    client: clients.listener,
    gatewayId: deps.gatewayId,
    logger: deps.logger,
    readAfter: (mark, limit) => readKnownAfter(clients.reads, mark, limit),
    lastMark: () => readLastMark(clients.reads),
    reads: clients.reads,
    commits: clients.commits,
    hasHistoryUpTo,
  });
  const database = assemble(clients, wakeUps, release, { ...deps, address });
  try {
    await wakeUps.start();
  } catch (error: unknown) {
    await database.close();
    throw error;
  }
  return database;
}

/**
 * A commit waits at most 5 s for a lock and then takes milliseconds. With these limits a dead connection is found soon.
 */
const COMMIT_LIMITS = { statementTimeoutMs: 7_500, answerTimeoutMs: 10_000 };
/**
 * A lease lives for 2 s, so a renewal that takes longer has failed. A half-open connection must be found within that
 * time. Otherwise this gateway loses all its leases.
 */
const LEASE_LIMITS = { statementTimeoutMs: 1_500, answerTimeoutMs: 2_000 };

/** Load balancers give up a readiness check after a few seconds. A half-open connection would never answer. */
const PING_TIMEOUT_MS = 2_000;

type Clients = Readonly<Record<'commits' | 'reads' | 'leases' | 'tokens' | 'listener', Client>>;

function createClients(address: DatabaseAddress, gatewayId: GatewayId): Clients {
  const make = (name: string, options: Partial<ClientOptions> = {}) =>
    createClient(address, { maxConnections: 1, ...options, name: `${name} ${gatewayId}` });
  return {
    commits: make('commits', COMMIT_LIMITS),
    reads: make('reads', { maxConnections: READ_CONNECTIONS }),
    leases: make('leases', LEASE_LIMITS),
    // Callers are authenticated with these reads. So they must not wait behind other reads, or for a half-open
    // connection.
    tokens: make('tokens', LEASE_LIMITS),
    listener: make('listener'),
  };
}

function assemble(
  clients: Clients,
  wakeUps: FedWakeUps,
  release: Release,
  deps: DatabaseDeps & { readonly address: DatabaseAddress },
): Database {
  const { address, gatewayId, newId, logger } = deps;
  const { commits, reads } = clients;
  const { onCommitted, hasHistory } = wakeUps;
  const freshOutputs = createFreshOutputs();
  const faults: DatabaseFaults = { commitRetries: 0, leaseRenewalFailures: 0 };
  const store = createEventStore({
    commits,
    reads,
    gatewayId,
    newId,
    logger,
    onCommitted,
    hasHistory,
    freshOutputs,
    faults,
  });
  const leases = createLeases({
    client: clients.leases,
    gatewayId,
    version: release.version,
    logger,
    faults,
  });
  const { onWaiting } = wakeUps;
  const waiting = createWaitingRequests({ client: reads, gatewayId, leases, onWaiting, logger });
  const queries = createQueries(reads, { address, newId, freshOutputs });
  const compatibility = watchCompatibility(reads, release, logger);
  const { answered, sql } = reads;
  const closing = new AbortController();
  const patience = { logger, closing: closing.signal };
  let closed: Promise<void> | null = null;
  return {
    gatewayId,
    // Commits need no wrapper: they are retried by the store itself.
    store: { ...store, ...withRetries({ lastPosition: store.lastPosition }, patience) },
    // Queries that add to counts are not repeated: after a lost answer, it is unknown whether they took effect.
    queries: {
      ...withRetries(queries, patience),
      recordRefusedCalls: queries.recordRefusedCalls,
      recordEgress: queries.recordEgress,
    },
    leases: { ...leases, ...withRetries(asked(leases), patience) },
    wakeUps,
    waiting,
    firstUse: withRetries(createFirstUse(reads, closing.signal), patience),
    tokenReads: createTokenQueries(clients.tokens),
    unusable: Promise.race([compatibility.outdated, wakeUps.historyLost]),
    historyLost: wakeUps.historyLost,
    faults,
    ping: async () => {
      await within(PING_TIMEOUT_MS, answered(sql`SELECT 1`), () => {
        throw new Error(`The database has not answered for ${PING_TIMEOUT_MS} ms.`);
      });
    },
    close: () => {
      closing.abort();
      compatibility.close();
      closed ??= closeAll([
        () => Promise.all(Object.values(clients).map((client) => client.close(CLOSE_TIMEOUT_MS))),
        () => wakeUps.close(),
        () => leases.close(),
        () => waiting.close(),
        () => store.close(),
      ]);
      return closed;
    },
  };
}

/** The methods that query the database and may be repeated. */
function asked({ isHeld, onLost, close, ...asking }: Leases) {
  return asking;
}

/** Reads are repeated for as long as commits are, so that both give up after the same time. */
const RETRY_LIMIT_MS = 30_000;

interface PatienceDeps {
  readonly logger: Logger;
  /** Aborted when the database is being closed: then there are no more retries. */
  readonly closing: AbortSignal;
}

type Ask = (...given: never[]) => Promise<unknown>;

/**
 * Wraps functions so that each is repeated while the database is away. Only for functions that may be repeated without
 * harm. They throw DatabaseAwayError after RETRY_LIMIT_MS, or immediately while closing.
 */
function withRetries<T extends object>(functions: T, deps: PatienceDeps): T {
  const entries = Object.entries(functions) as [string, Ask][];
  return Object.fromEntries(entries.map(([name, ask]) => [name, patient(ask, deps)])) as T;
}

function patient<F extends Ask>(ask: F, { logger, closing }: PatienceDeps): F {
  const askPatiently = async (...given: Parameters<F>): Promise<unknown> => {
    const startedAt = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask(...given);
      } catch (error: unknown) {
        if (!isAway(error)) throw error;
        const waitedMs = Math.round(performance.now() - startedAt);
        if (closing.aborted || waitedMs > RETRY_LIMIT_MS) {
          throw new DatabaseAwayError(waitedMs, { cause: error });
        }
        logger.debug({ error: messageOf(error), attempt }, 'The database is away; asking again');
        await pauseBetween(attempt, closing);
      }
    }
  };
  return askPatiently as F;
}
