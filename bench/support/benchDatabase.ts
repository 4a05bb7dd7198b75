/** Starts an embedded PostgreSQL for a bench, set up like that of a gateway, but without a gateway. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { GatewayId } from '../../src/domain/ids.ts';
import {
  type Client,
  createClient,
  type DatabaseAddress,
} from '../../src/events/connection/client.ts';
import type { Database } from '../../src/events/database.ts';
import { openDatabase } from '../../src/events/openDatabase.ts';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { newId } from '../../src/process/newId.ts';

const CLOSE_TIMEOUT_MS = 2_000;
const logger = pino({ level: 'silent' });

export interface BenchDatabase {
  readonly address: DatabaseAddress;
  /**
   * Opens the database as a gateway does. The first call creates the tables. Close it before filling the tables by
   * other means, because an open one reads all new events.
   */
  open(): Promise<Database>;
  /** Also closes what is still open. */
  destroy(): Promise<void>;
}

export async function startBenchDatabase(): Promise<BenchDatabase> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ch-bench-postgres-'));
  const opened: Database[] = [];
  const destroy = async (): Promise<void> => {
    for (const database of opened) await database.close();
    await stopEmbeddedPostgres({ dataDir, logger });
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const address = await ensureEmbeddedPostgres({ dataDir, logger });
    const open = async (): Promise<Database> => {
      const database = await openDatabase(address, {
        gatewayId: newId<GatewayId>(),
        logger,
        newId,
      });
      opened.push(database);
      await database.queries.poolIdentity('engine');
      return database;
    };
    return { address, open, destroy };
  } catch (error: unknown) {
    await destroy();
    throw error;
  }
}

/** Runs raw SQL on one connection without time limits. */
export async function withSql<T>(
  address: DatabaseAddress,
  use: (sql: Client['sql']) => Promise<T>,
): Promise<T> {
  const client = createClient(address, {
    name: 'bench',
    maxConnections: 1,
    statementTimeoutMs: 0,
    answerTimeoutMs: 0,
  });
  try {
    return await use(client.sql);
  } finally {
    await client.close(CLOSE_TIMEOUT_MS);
  }
}
