/** An embedded PostgreSQL like a gateway's, for a bench: without a gateway, or with a gateway and a long history. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { pollUntil } from '../../src/async/pollUntil.ts';
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
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { generateHistory, type HistorySize } from './history.ts';

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

// Starts a gateway whose database holds a long history, and measures its restart.

/** How often `/readyz` is polled. This bounds the precision of `readyMs`. */
const LOOK_MS = 5;
const READY_TIMEOUT_MS = 60_000;

/**
 * Resolves when the gateway serves again.
 * @throws Error if the history cannot be written; the gateway is destroyed then
 */
export async function startGatewayWithPast(
  size: HistorySize,
  settings: Readonly<Record<string, string>>,
  onAdded?: (executions: number) => void,
): Promise<TestGateway> {
  const gateway = await startTestGateway(settings);
  try {
    // A running gateway would read all the new events.
    await gateway.kill('SIGKILL');
    const { dataDir } = gateway;
    const address = await ensureEmbeddedPostgres({ dataDir, logger: pino({ level: 'silent' }) });
    await withSql(address, (sql) =>
      generateHistory(sql, size, onAdded === undefined ? {} : { onAdded }),
    );
    await gateway.restart();
    return gateway;
  } catch (error: unknown) {
    await gateway.destroy();
    throw error;
  }
}

/**
 * Kills the gateway with SIGKILL and starts it again. PostgreSQL and the workers go on meanwhile. Resolves with
 * `performance.now()` at the start of its process, and the milliseconds from then until `/readyz` answered 200, which
 * means that every worker is adopted.
 */
export async function restartHard(
  gateway: TestGateway,
): Promise<{ startedAt: number; readyMs: number }> {
  await gateway.kill('SIGKILL');
  const startedAt = performance.now();
  const starting = gateway.restart();
  const readyMs = await untilReady(gateway, startedAt);
  await starting;
  return { startedAt, readyMs };
}

async function untilReady({ url }: TestGateway, startedAt: number): Promise<number> {
  const isReady = await pollUntil({ everyMs: LOOK_MS, limitMs: READY_TIMEOUT_MS }, () =>
    fetch(`${url}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  );
  if (isReady) return performance.now() - startedAt;
  throw new Error(`Not ready within ${READY_TIMEOUT_MS} ms.`);
}
