/**
 * Gateways in the process of the test, composed as in the product: with a runtime of the test's own, with programmed
 * workers, with real workers, or the service alone, without workers.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { afterAll, beforeEach } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import type { Database } from '../../src/events/database.ts';
import type { Queries } from '../../src/events/queries/createQueries.ts';
import {
  composeAudit,
  composeEnvironments,
  composePool,
  composeServer,
  composeService,
} from '../../src/gateway.ts';
import type { Pool } from '../../src/pool/pool.ts';
import { createDockerRuntime } from '../../src/runtime/docker/dockerRuntime.ts';
import { askEngine } from '../../src/runtime/docker/engineCalls.ts';
import type { Images } from '../../src/runtime/images.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { GatewayServer } from '../../src/server/createServer.ts';
import { createSharedOutput } from '../../src/service/output/sharedOutput.ts';
import type { Service } from '../../src/service/service.ts';
import { POOL_ID } from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { lightWorkerImage } from '../../testkit/workerImage.ts';
import { type TestDatabase, useDatabase } from './database.ts';
import {
  createProgrammedImages,
  createProgrammedRuntime,
  type ProgrammedRuntime,
} from './programmedRuntime.ts';

// A gateway composed as in the product, over a given database and runtime. A test decides whether its server listens.

interface ServingGatewayDeps {
  readonly database: Database;
  readonly runtime: Runtime;
  readonly socketDir: string;
  /** If it is left out, the gateway builds no environments. */
  readonly images?: Images;
  /** Settings that differ from the defaults, under their names in the environment. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Silent if it is left out. */
  readonly logger?: Logger;
}

export interface ServingGateway {
  readonly service: Service;
  readonly server: GatewayServer;
  readonly pool: Pool;
  /** Closes everything except the database. */
  close(): Promise<void>;
}

export async function startServingGateway(deps: ServingGatewayDeps): Promise<ServingGateway> {
  const { database, runtime } = deps;
  const config = loadConfig({
    SOCKET_DIR: deps.socketDir,
    DATA_DIR: deps.socketDir,
    AUTH_TOKEN: 'a-token-for-tests',
    PORT: '0',
    ...deps.settings,
  });
  const { poolId } = await database.queries.poolIdentity('here');
  const logger = deps.logger ?? pino({ level: 'silent' });
  const parts = composePool({ config, database, runtime, poolId, logger });
  const images = deps.images ?? createProgrammedImages().images;
  const environments = composeEnvironments({ config, database, runtime, images, poolId, logger });
  const serviceParts = composeService(config, { database, ...parts, environments, logger });
  const server = composeServer({
    config,
    database,
    ...parts,
    ...serviceParts,
    auditKeeper: composeAudit(config, database, logger),
    processMetrics: async () => '',
    logger,
  });
  await serviceParts.load();
  await parts.pool.start(false);
  if (deps.images) environments.start();
  return {
    service: serviceParts.service,
    server,
    pool: parts.pool,
    close: async () => {
      await server.close(AbortSignal.abort());
      await environments.close();
      await serviceParts.close();
      await parts.pool.close(0);
      await parts.egress?.close();
    },
  };
}

type Settings = NonNullable<ServingGatewayDeps['settings']>;

interface ServiceGateways {
  readonly db: TestDatabase;
  readonly workers: ProgrammedRuntime;
  /** Starts a gateway. It is closed with the test file. */
  start(
    own?: Pick<Partial<ServingGatewayDeps>, 'database' | 'settings' | 'logger'>,
  ): Promise<ServingGateway>;
  /** The user of the present test. */
  userUuid(): string;
}

/** @param settings of all gateways that are not started with settings of their own */
export async function useServiceGateways(settings: Settings = {}): Promise<ServiceGateways> {
  const db = await useDatabase();
  const socketDir = mkdtempSync(join(tmpdir(), 'ch-service-'));
  const workers = createProgrammedRuntime();
  const started: ServingGateway[] = [];
  let user = 0;
  beforeEach(() => {
    user += 1;
  });
  afterAll(async () => {
    workers.letGo();
    for (const gateway of started) await gateway.close();
    await workers.close();
    rmSync(socketDir, { recursive: true, force: true });
  });
  return {
    db,
    workers,
    start: async (own = {}) => {
      const database = own.database ?? (await db.open());
      const { runtime } = workers;
      const gateway = await startServingGateway({
        database,
        runtime,
        socketDir,
        settings: own.settings ?? settings,
        ...(own.logger && { logger: own.logger }),
      });
      started.push(gateway);
      return gateway;
    },
    userUuid: () => `user-${user}`,
  };
}

// Gateways on one database, in the process of the test, with real workers. So a test can call operations of the service
// that neither GraphQL nor a door has.

const ENGINE_TIMEOUT_MS = 10_000;

/**
 * Starts gateways. After the tests of the file, the gateways are closed and their workers are removed.
 * @param count how many gateways
 */
export async function useRealService(
  count: 1 | 2,
  settings: Readonly<Record<string, string>> = {},
) {
  const image = lightWorkerImage();
  const dockerHost = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  const socketPath = dockerHost.replace(/^unix:\/\//, '');
  const db = await useDatabase();
  const socketDir = mkdtempSync(join(tmpdir(), 'ch-real-'));
  const { id: engineId } = await askEngine(socketPath, ENGINE_TIMEOUT_MS);
  const logger = pino({ level: 'silent' });
  const ociRuntime = process.env.DOCKER_RUNTIME ?? 'runc';
  const runtime = createDockerRuntime({ engineId, socketPath, socketDir, ociRuntime, logger });
  const own = { WORKER_IMAGE: image, MIN_IDLE_WORKERS: '0', ...settings };
  const gateways: ServingGateway[] = [];
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    const { poolId } = await db.queries.poolIdentity('here');
    for (const { containerId, workerId } of await runtime.list(poolId))
      await runtime.remove({ poolId, workerId, containerId });
    rmSync(socketDir, { recursive: true, force: true });
  });
  for (let n = 0; n < count; n += 1) {
    const database = await db.open();
    gateways.push(await startServingGateway({ database, runtime, socketDir, settings: own }));
  }
  return { db, gateways };
}

// The product's service with only a database behind it: operations that only read work, and operations that need a
// worker fail.

export function databaseService(database: Database, maxResponseBytes = 1_000_000): Service {
  const config = { ...loadConfig({ SOCKET_DIR: '/run/x', DATA_DIR: '/var/x' }), maxResponseBytes };
  const pool = { id: POOL_ID } as Pool;
  const sharedOutput = createSharedOutput();
  const logger = pino({ level: 'silent' });
  const environments = {
    baseImageId: async () => 'sha256:base',
    hashOf: async () => 'f'.repeat(64),
    start: () => undefined,
    close: async () => undefined,
  };
  return composeService(config, { database, pool, environments, sharedOutput, logger }).service;
}

/** Ends the idle workers, and waits until the pool has MIN_IDLE_WORKERS new ones. Resolves with the new ones. */
export async function replaceIdle(
  { pool }: Pick<ServingGateway, 'pool'>,
  queries: Pick<Queries, 'workersInStates'>,
) {
  const idle = () => queries.workersInStates(pool.id, ['IDLE']);
  const { minIdleWorkers } = await pool.status();
  const before = await until('idle workers', async () => {
    const found = await idle();
    return found.length >= minIdleWorkers && found;
  });
  for (const worker of before) await pool.retireIdle(worker);
  const ended = before.map(({ id }) => id);
  return await until('workers in their place', async () => {
    const found = (await idle()).filter(({ id }) => !ended.includes(id));
    return found.length >= minIdleWorkers && found;
  });
}
