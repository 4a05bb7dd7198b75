/**
 * Gives each test file its own database on the server that `provideDatabase.ts` started. Finds leftovers in it, and
 * tables that contain a text.
 */
import { pino } from 'pino';
import { afterAll, inject } from 'vitest';
import type { StreamKind } from '../../src/domain/entities.ts';
import type { RecordedEvent } from '../../src/domain/events.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import {
  createClient,
  type DatabaseAddress,
  type Sql,
} from '../../src/events/connection/client.ts';
import type { Database } from '../../src/events/database.ts';
import { openDatabase } from '../../src/events/openDatabase.ts';
import { createFreshOutputs } from '../../src/events/outputs/freshOutputs.ts';
import { createQueries, type Queries } from '../../src/events/queries/createQueries.ts';
import { readAfter } from '../../src/events/store/readEvents.ts';
import { newId } from '../../src/process/newId.ts';
import { createDatabase, onServer, SECRET_IN_SQL } from '../../testkit/sharedServer.ts';
import { until } from '../../testkit/until.ts';

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
    readStream: async (kind, id) => {
      const bounds = { limit: MAX_EVENTS, maxBytes: Number.MAX_SAFE_INTEGER };
      return (await queries.streamPage(kind, id, 0, bounds)).edges.map(({ item }) => item);
    },
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

/** The names of all tables with a row that contains the text. */
export async function tablesWith({ sql }: { readonly sql: Sql }, text: string): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    SELECT quote_ident(table_name) AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
  const found = [];
  for (const { name } of tables) {
    const rows = await sql.unsafe(`SELECT 1 FROM ${name} t WHERE t::text LIKE $1 LIMIT 1`, [
      `%${text}%`,
    ]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}

/**
 * The names of all tables with a secret of a token. The output of code is left out: it is large, and only code decides
 * what is in it.
 */
export async function tablesWithSecrets({ sql }: { readonly sql: Sql }): Promise<string[]> {
  const tables = await sql<{ name: string }[]>`
    SELECT quote_ident(table_name) AS name FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'output_events'`;
  if (tables.length === 0) return [];
  const each = tables.map(
    ({ name }) =>
      `SELECT '${name}' AS name WHERE EXISTS (SELECT FROM ${name} t WHERE t::text ~ '${SECRET_IN_SQL}')`,
  );
  const found = await sql.unsafe<{ name: string }[]>(each.join(' UNION ALL '));
  return found.map(({ name }) => name);
}

/**
 * Counts the subscribers to output wake-ups over all wrapped databases. A subscriber that is never removed is a leak.
 */
function countFollowers() {
  let following = 0;

  function counted(takeLeave: () => void): () => void {
    let isOver = false;
    following += 1;
    return () => {
      if (!isOver) following -= 1;
      isOver = true;
      takeLeave();
    };
  }

  return {
    count: () => following,
    /** Wraps a database so that its subscribers are counted. */
    of: (database: Database): Database => {
      const { wakeUps } = database;
      return {
        ...database,
        wakeUps: Object.assign(Object.create(wakeUps) as typeof wakeUps, {
          onOutput: (...args: Parameters<typeof wakeUps.onOutput>) =>
            counted(wakeUps.onOutput(...args)),
          onSessionOutput: (...args: Parameters<typeof wakeUps.onSessionOutput>) =>
            counted(wakeUps.onSessionOutput(...args)),
        }),
      };
    },
  };
}
