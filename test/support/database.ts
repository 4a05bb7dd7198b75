/** Gives each test file its own database on the server that `provideDatabase.ts` started. */
import { pino } from 'pino';
import { afterAll, inject } from 'vitest';
import type { StreamKind } from '../../src/domain/entities.ts';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import { createClient, type DatabaseAddress } from '../../src/events/connection/client.ts';
import type { Database } from '../../src/events/database.ts';
import { openDatabase } from '../../src/events/openDatabase.ts';
import { createFreshOutputs } from '../../src/events/outputs/freshOutputs.ts';
import { createQueries, type Queries } from '../../src/events/queries/createQueries.ts';
import { readAfter } from '../../src/events/store/readEvents.ts';
import { newId } from '../../src/process/newId.ts';
import { createDatabase, onServer } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';
import { countFollowers } from './countFollowers.ts';
import { tablesWithSecrets } from './tablesWith.ts';

/** PostgreSQL notices a closed connection within seconds. A lease that nobody renews also expires within seconds. */
const LEFT_LIMIT_MS = 10_000;

/** More events than any test puts into a stream. */
const MAX_EVENTS = 1_000;

export interface TestDatabase {
  readonly address: DatabaseAddress;
  /** Raw SQL, with camelCase columns as the project's own clients give them. */
  readonly sql: ReturnType<typeof createClient>['sql'];
  /** Reads the tables, never a gateway's memory. */
  readonly queries: Queries;
  /** All events of a stream, oldest first. */
  readStream(kind: StreamKind, id: string): Promise<RecordedEvent[]>;
  /** Events after a position, in order, as gateways read them. */
  readAfter(position: number, limit?: number): Promise<RecordedEvent[]>;
  /** Opens the database for one more gateway, at `by` if it is given. All gateways are closed after the tests. */
  open(gatewayId?: GatewayId, by?: DatabaseAddress): Promise<Database>;
}

/**
 * Makes a database with all tables. When all tests of the file are over, the gateways are closed, and the file fails if
 * anything is left: a subscriber to output, a connection, a lease that somebody still renews, or the secret of a token
 * in a table. Then the database is dropped.
 * @param onOver registers the clean-up. Pass `onTestFinished` if the database belongs to a single test
 * @param options.hasTables false for an empty database, in which the first gateway makes the tables
 */
export async function useDatabase(
  onOver: (close: () => Promise<void>) => void = afterAll,
  { hasTables = true } = {},
): Promise<TestDatabase> {
  const server = inject('database');
  const { address, drop } = await createDatabase(server, { hasTables });
  const client = createClient(address, { name: 'test', maxConnections: 3 });
  const freshOutputs = createFreshOutputs(everLater());
  const queries = createQueries(client, { address, newId, freshOutputs });
  const gateways = new Map<Database, GatewayId>();
  const followers = countFollowers();

  onOver(async () => {
    try {
      const count = followers.count();
      if (count > 0) throw new Error(`${count} followers of output were left.`);
      await Promise.all([...gateways.keys()].map((database) => database.close()));
      const telling = await tablesWithSecrets(client);
      if (telling.length > 0) throw new Error(`Secrets of tokens are in ${telling.join(', ')}.`);
      await untilNone('Leases that are renewed', () => leasesOf([...gateways.values()], client));
      await client.close(1_000);
      await untilNone('Connections', () => connectionsTo(address.database, server));
    } finally {
      await client.close(1_000);
      await drop();
    }
  });

  return {
    address,
    sql: client.sql,
    queries,
    readAfter: (position, limit = MAX_EVENTS) => readAfter(client, position, limit),
    readStream: (kind, id) => queries.streamPage(kind, id, 0, MAX_EVENTS),
    open: async (gatewayId = newId<GatewayId>(), by = address) => {
      const logger = pino({ level: 'silent' });
      const database = followers.of(await openDatabase(by, { gatewayId, logger, newId }));
      gateways.set(database, gatewayId);
      return database;
    },
  };
}

/** A clock that jumps an hour with each reading, so that everything in a cache has expired when it is looked up. */
function everLater(): () => number {
  let ms = 0;
  return () => {
    ms += 3_600_000;
    return ms;
  };
}

/** @throws Error that names what is left */
async function untilNone(what: string, look: () => Promise<readonly string[]>): Promise<void> {
  let left: readonly string[] = [];
  const looked = until(
    what,
    async () => {
      left = await look();
      return left.length === 0;
    },
    LEFT_LIMIT_MS,
  );
  await looked.catch((cause: unknown) => {
    throw new Error(`${what} were left: ${left.join(', ')}`, { cause });
  });
}

async function leasesOf(
  gatewayIds: readonly GatewayId[],
  { sql }: ReturnType<typeof createClient>,
): Promise<readonly string[]> {
  // If no gateway has opened the database, it may have no tables.
  if (gatewayIds.length === 0) return [];
  const rows = await sql<{ name: string }[]>`
    SELECT name FROM leases
    WHERE holder = ANY(${[...gatewayIds]}) AND expires_at > clock_timestamp()`;
  return rows.map((row) => row.name);
}

function connectionsTo(database: string, server: DatabaseAddress): Promise<readonly string[]> {
  return onServer(server, async (sql) => {
    const rows = await sql<{ name: string }[]>`
      SELECT application_name AS name FROM pg_stat_activity
      WHERE datname = ${database} AND backend_type = 'client backend'`;
    return rows.map((row) => row.name);
  });
}
