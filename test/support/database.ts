/** A database of its own for each test file, on the server that `provideDatabase.ts` started. */
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import postgres from 'postgres';
import { inject } from 'vitest';
import type { RecordedEvent, StreamKind } from '../../src/domain/events.ts';
import type { GatewayId } from '../../src/domain/ids.ts';
import { createClient } from '../../src/events/connection/client.ts';
import type { DatabaseAddress } from '../../src/events/connection/databaseAddress.ts';
import type { Database } from '../../src/events/database.ts';
import { openDatabase } from '../../src/events/openDatabase.ts';
import { createFreshOutputs } from '../../src/events/outputs/freshOutputs.ts';
import { createQueries, type Queries } from '../../src/events/queries/createQueries.ts';
import { readAfter } from '../../src/events/store/readEvents.ts';
import { newId } from '../../src/process/newId.ts';

/** More than a stream has in any test. */
const MAX_EVENTS = 1_000;

export interface TestDatabase {
  readonly address: DatabaseAddress;
  /** Raw SQL, with camelCase columns as the project's own clients give them. */
  readonly sql: ReturnType<typeof createClient>['sql'];
  /** What the tables say, whatever a gateway has in its memory. */
  readonly queries: Queries;
  /** All events of a stream, oldest first. */
  readStream(kind: StreamKind, id: string): Promise<RecordedEvent[]>;
  /** Events after a position, in order, as gateways read them. */
  readAfter(position: number, limit?: number): Promise<RecordedEvent[]>;
  /** One more gateway on it (by way of another address, if given); closed with the rest. */
  open(gatewayId?: GatewayId, by?: DatabaseAddress): Promise<Database>;
  /** Closes all gateways and drops the database. */
  close(): Promise<void>;
}

/** An empty database; the first gateway opened on it makes the tables. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject('database');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await onServer(server, (sql) => sql`CREATE DATABASE ${sql(name)}`);
  const address = withDatabase(server, name);
  const client = createClient(address, { name: 'test', maxConnections: 3 });
  const queries = createQueries(client, { newId, freshOutputs: createFreshOutputs(everLater()) });
  const opened: Database[] = [];
  return {
    address,
    sql: client.sql,
    queries,
    readAfter: (position, limit = MAX_EVENTS) => readAfter(client, position, limit),
    readStream: (kind, id) => queries.streamPage(kind, id, 0, MAX_EVENTS),
    open: async (gatewayId = newId<GatewayId>(), by = address) => {
      const logger = pino({ level: 'silent' });
      const database = await openDatabase(by, { gatewayId, logger, newId });
      opened.push(database);
      return database;
    },
    close: async () => {
      await Promise.all(opened.map((database) => database.close()));
      await client.close(1_000);
      await onServer(server, async (sql) => {
        // Not FORCE: that fails when PostgreSQL itself is vacuuming there, which a plain drop ends.
        await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = ${name} AND usename = current_user`;
        await sql`DROP DATABASE ${sql(name)}`;
      });
    },
  };
}

/** A clock by which all that is kept is too old when it is asked for. */
function everLater(): () => number {
  let ms = 0;
  return () => {
    ms += 3_600_000;
    return ms;
  };
}

function withDatabase(address: DatabaseAddress, database: string): DatabaseAddress {
  if (!('url' in address)) return { ...address, database };
  const url = new URL(address.url);
  url.pathname = `/${database}`;
  return { url: url.href };
}

async function onServer(
  address: DatabaseAddress,
  run: (sql: postgres.Sql) => Promise<unknown>,
): Promise<void> {
  const sql =
    'url' in address ? postgres(address.url, { max: 1 }) : postgres({ ...address, max: 1 });
  try {
    await run(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
