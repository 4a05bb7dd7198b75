/**
 * The composition root: wires all parts, starts them in order, and stops them in reverse. It is the only file that
 * knows all parts. The commands and the tests use it.
 */
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { type Closers, closeAll } from './async/closeAll.ts';
import type { Config } from './config/config.ts';
import { quotaDefaults } from './config/quotas.ts';
import type { PoolId } from './domain/ids.ts';
import { createMessageCounts, type MessageCounts } from './domain/messageCounts.ts';
import { createDoors } from './doors/doors.ts';
import { createEgress, type Egress } from './egress/createEgress.ts';
import { createEnvironments, type Environments } from './environments/environments.ts';
import { type AuditKeeper, createAuditKeeper } from './events/chain/auditKeeper.ts';
import type { DatabaseAddress } from './events/connection/client.ts';
import type { Database } from './events/database.ts';
import { openDatabase } from './events/openDatabase.ts';
import { createPool, type Pool } from './pool/pool.ts';
import { type EngineToAsk, poolOfEngine } from './pool/poolOfEngine.ts';
import { ensureEmbeddedPostgres, keepEmbeddedPostgres } from './postgres/embeddedPostgres.ts';
import {
  createAuditHeads,
  gatewayIdOf,
  lastBackup,
  makeDataDir,
  newSecret,
  recordLostHistory,
  tokenOf,
  tokenPath,
} from './process/dataDir.ts';
import { lockDataDir } from './process/gatewayLock.ts';
import { newId } from './process/newId.ts';
import { programVersion } from './process/programVersion.ts';
import { createDockerImages } from './runtime/docker/dockerImages.ts';
import { createDockerRuntime } from './runtime/docker/dockerRuntime.ts';
import { askEngine } from './runtime/docker/engineCalls.ts';
import type { Images } from './runtime/images.ts';
import { type Engine, type Runtime, requireRuntime, workerLimits } from './runtime/runtime.ts';
import { createServer, type GatewayServer } from './server/createServer.ts';
import type { Readiness } from './server/http/health.ts';
import { createRefusals, type Refusals, recordCounts } from './service/access/refusals.ts';
import { createSessionKeys, type SessionKeys } from './service/access/sessionKeys.ts';
import {
  createTokenCache,
  createTokenUses,
  type TokenCache,
  watchTokens,
} from './service/access/tokenCache.ts';
import { createFinishWaiters, onOwnEvents } from './service/execute/finishWaiters.ts';
import { createRequestHashes } from './service/execute/requestHash.ts';
import { createFileTransfers } from './service/files/fileTransfers.ts';
import { createOpenSessions } from './service/openSessions.ts';
import { createContextReaders } from './service/output/contextReaders.ts';
import { countFollowers } from './service/output/followOutput.ts';
import { createSharedOutput, type SharedOutput } from './service/output/sharedOutput.ts';
import { createQuotas } from './service/quotas/quotas.ts';
import { createService, type Service } from './service/service.ts';
import { createSessionUses } from './service/sessions/sessionUses.ts';

/** How long a stop waits for the last outputs to be stored. The agents keep the rest. */
const DRAIN_OUTPUT_MS = 1_000;

export interface Gateway {
  readonly address: string;
  /** The file with the generated token. Null if AUTH_TOKEN is set. */
  readonly tokenFile: string | null;
  /** Resolves with a message for the operator when this gateway must stop, see {@link Database.unusable}. */
  readonly databaseUnusable: Promise<string>;
  /** Stops the gateway. It takes no new work, but sessions and running code go on in their workers. */
  close(): Promise<void>;
}

/**
 * Starts a gateway. Resolves when it serves and its workers are adopted. It also starts while the engine is away,
 * unless this is the first start of the installation.
 * @param processMetrics the metrics of this process, which `/metrics` appends
 * @throws Error with a message for the operator
 */
export async function startGateway(
  config: Config,
  processMetrics: () => Promise<string>,
): Promise<Gateway> {
  const closers: Closers = [];
  const logger: Logger = pino({ level: config.logLevel });
  logger.info({ version: programVersion() }, 'the gateway starts');
  try {
    makeDataDir(config.dataDir);
    const lock = await lockDataDir(config.dataDir);
    closers.push(() => lock.release());
    const installation = await openInstallation(config, logger, closers, { mayBeAway: true });
    const { database, pool, environments, engine } = installation;
    const auditKeeper = composeAudit(config, database, logger);
    closers.push(() => auditKeeper.close());
    database.historyLost
      .then((message) => recordLostHistory(config.dataDir, { message, foundAt: new Date() }))
      .catch((error: unknown) => logger.error({ err: error }, 'could not record the lost history'));
    if (engine !== null) requireRuntime(engine, config);
    const serviceParts = composeService(config, { ...installation, logger });
    closers.push(() => serviceParts.close());
    const server = composeServer({
      config,
      ...installation,
      ...serviceParts,
      auditKeeper,
      processMetrics,
      logger,
    });
    const { port } = await server.listen();
    closers.push(() => pool.close(DRAIN_OUTPUT_MS));
    closers.push(() => server.close());
    await serviceParts.load();
    await pool.start(engine === null);
    auditKeeper.start();
    closers.push(() => environments.close());
    environments.start();
    const host = config.host.includes(':') ? `[${config.host}]` : config.host;
    return {
      address: `http://${host}:${port}`,
      tokenFile: config.authToken === null ? tokenPath(config.dataDir) : null,
      databaseUnusable: database.unusable,
      close: () => closeAll(closers),
    };
  } catch (error: unknown) {
    await closeAll(closers).catch((cause: unknown) =>
      logger.error({ err: cause }, 'could not close everything after the failed start'),
    );
    throw error;
  }
}

export interface Installation extends PoolParts {
  readonly database: Database;
  /** Not started. */
  readonly environments: Environments;
  /** Null while the engine does not answer. */
  readonly engine: Engine | null;
}

/**
 * Opens the database, the engine and the pool, without a server. Both `serve` and `down` need these.
 * @throws Error, see {@link poolOfEngine}
 */
export async function openInstallation(
  config: Config,
  logger: Logger,
  closers: Closers,
  { mayBeAway }: Pick<EngineToAsk, 'mayBeAway'>,
): Promise<Installation> {
  const address = await databaseAddress(config, logger);
  if (config.databaseUrl === null) {
    const keptPostgres = keepEmbeddedPostgres({ dataDir: config.dataDir, logger });
    closers.push(() => keptPostgres.close());
  }
  const gatewayId = gatewayIdOf(config.dataDir);
  const database = await openDatabase(address, { gatewayId, logger, newId });
  closers.push(() => database.close());
  const { dockerSocketPath: socketPath, dockerRuntime: ociRuntime, socketDir } = config;
  const { poolId, engineId, engine } = await poolOfEngine(database.queries, {
    ask: (limitMs) => askEngine(socketPath, limitMs),
    address: socketPath,
    mayBeAway,
  });
  const runtime = createDockerRuntime({ engineId, socketPath, socketDir, ociRuntime, logger });
  const deps = { config, database, runtime, poolId, logger };
  const parts = composePool(deps);
  closers.push(async () => parts.egress?.close());
  const images = createDockerImages({ engineId, socketPath });
  return { database, engine, ...parts, environments: composeEnvironments({ ...deps, images }) };
}

/** Creates the part that builds environments, without starting it. */
export function composeEnvironments(deps: {
  readonly config: Config;
  readonly database: Database;
  readonly runtime: Runtime;
  readonly images: Images;
  readonly poolId: PoolId;
  readonly logger: Logger;
}): Environments {
  const { config } = deps;
  return createEnvironments({
    ...deps,
    workerImage: config.workerImage ?? '',
    limits: workerLimits(config),
    folder: join(config.dataDir, 'builds'),
    newId,
    now: () => new Date(),
  });
}

export interface PoolParts {
  readonly pool: Pool;
  readonly messageCounts: MessageCounts;
  readonly sharedOutput: SharedOutput;
  /** Null: code may reach nothing outside. Closed after the pool. */
  readonly egress: Egress | null;
}

/** Creates the pool with its database and runtime, without starting it. */
export function composePool(deps: {
  readonly config: Config;
  readonly database: Database;
  readonly runtime: Runtime;
  readonly poolId: PoolId;
  readonly logger: Logger;
}): PoolParts {
  const messageCounts = createMessageCounts();
  const sharedOutput = createSharedOutput();
  const now = () => new Date();
  const egress = createEgress({ ...deps, ...deps.database, now, clock: () => performance.now() });
  const pool = createPool({
    ...deps,
    workerImage: deps.config.workerImage ?? '',
    messageCounts,
    egress,
    followers: (execution) => countFollowers(sharedOutput, execution),
    newId,
    now,
    random: Math.random,
  });
  return { pool, messageCounts, sharedOutput, egress };
}

export interface ServiceParts {
  readonly service: Service;
  readonly tokenCache: TokenCache;
  readonly sessionKeys: SessionKeys;
  /** AUTH_TOKEN. */
  readonly token: () => string;
  readonly refusals: Refusals;
  /**
   * Reads the data that the service keeps in memory, and keeps them up to date from then on. Must be awaited before the
   * pool starts.
   */
  load(): Promise<void>;
  /**
   * Records the data that are only in memory so far: uses of tokens, refusals, and the offsets of readers. Idempotent.
   */
  close(): Promise<void>;
}

/** Creates the service that uses the pool. */
export function composeService(
  config: Config,
  {
    database,
    pool,
    environments,
    sharedOutput,
    logger,
  }: Omit<PoolParts, 'messageCounts' | 'egress'> &
    Pick<Installation, 'database' | 'environments'> & { readonly logger: Logger },
): ServiceParts {
  const sessions = createOpenSessions(database.queries);
  const finishWaiters = createFinishWaiters(database.queries);
  const now = () => new Date();
  const clock = () => performance.now();
  const uses = createTokenUses(database.queries, now);
  const refusals = createRefusals(database.queries, now, newId);
  const tokenCache = createTokenCache({ ...database, uses, now, clock });
  let stopWatching = () => {};
  let stopRecording = async () => {};
  const requestHashes = createRequestHashes(database.queries);
  // The token is read once, when it is first needed. A changed file takes effect at the next start of the gateway.
  let read: string | null = null;
  const token = () => {
    read ??= config.authToken ?? tokenOf(config.dataDir);
    return read;
  };
  const sessionKeys = createSessionKeys({ ...database, tokenCache, sessions, authToken: token });
  const quotas = createQuotas({
    defaults: quotaDefaults(config),
    maxCommands: config.maxCommands,
    workerCpus: config.workerCpus,
    queries: database.queries,
    now,
    clock,
  });
  // `sessions` comes before `finishWaiters`, so that callers woken by a finished execution find its session up to date.
  database.wakeUps.onEvent((recorded) => {
    tokenCache.apply(recorded);
    sessions.apply(recorded);
    finishWaiters.apply(recorded);
    quotas.apply(recorded);
  });
  const contextReaders = createContextReaders({ queries: database.queries, logger });
  const service = createService({
    config,
    database,
    pool,
    environments,
    sessions,
    sessionUses: createSessionUses({ ...config, queries: database.queries, now }),
    finishWaiters,
    requestHashes,
    sessionKeys,
    refusals,
    quotas,
    sharedOutput,
    contextReaders,
    fileTransfers: createFileTransfers(config.maxFileTransfers),
    newId,
    newSecret,
    now,
  });
  return {
    service,
    tokenCache,
    sessionKeys,
    token,
    refusals,
    load: async () => {
      await Promise.all([sessions.load(), requestHashes.load(), sessionKeys.load()]);
      await Promise.all([tokenCache.reload(), quotas.load()]);
      stopWatching = watchTokens(tokenCache, logger);
      stopRecording = recordCounts([uses, refusals], logger);
    },
    close: async () => {
      stopWatching();
      await Promise.all([stopRecording(), contextReaders.close()]);
    },
  };
}

/** Creates the audit keeper, which seals the events, without starting it. */
export function composeAudit(config: Config, database: Database, logger: Logger): AuditKeeper {
  return createAuditKeeper({ database, heads: createAuditHeads(config.dataDir), logger });
}

/** Creates the server that exposes the service, without listening yet. */
export function composeServer(
  deps: PoolParts &
    ServiceParts & {
      readonly config: Config;
      readonly database: Database;
      readonly auditKeeper: AuditKeeper;
      readonly logger: Logger;
      readonly processMetrics: () => Promise<string>;
    },
): GatewayServer {
  const { config, database, pool, service, tokenCache, sessionKeys, refusals } = deps;
  const { logger, processMetrics } = deps;
  return createServer({
    config,
    version: programVersion(),
    service,
    doors: createDoors(config.doors, {
      logger,
      newId,
      newErrorId: refusals.newErrorId,
      now: () => new Date(),
      settings: config,
    }),
    tokenCache,
    sessionKeys,
    refusals,
    token: deps.token(),
    readiness: () => readiness(database, pool),
    onOwnEvent: (listener) => onOwnEvents(database, listener),
    onClaimed: pool.onClaimed,
    databaseFaults: database.faults,
    messageCounts: () => deps.messageCounts,
    egressTotals: () => deps.egress?.totals ?? null,
    outputFollowers: () => deps.sharedOutput.count,
    auditStatus: deps.auditKeeper.status,
    lastBackupAt: () =>
      config.databaseUrl === null ? (lastBackup(config.dataDir)?.madeAt ?? null) : null,
    processMetrics,
    logger,
  });
}

/** The address in DATABASE_URL, or else that of the embedded server, which is started if necessary. */
export async function databaseAddress(config: Config, logger: Logger): Promise<DatabaseAddress> {
  if (config.databaseUrl !== null) return { url: config.databaseUrl };
  return await ensureEmbeddedPostgres({ dataDir: config.dataDir, logger });
}

async function readiness(database: Database, pool: Pool): Promise<Readiness> {
  const reasons: string[] = [];
  if (pool.isInitializing) reasons.push('The workers are not adopted yet.');
  await database.ping().catch(() => reasons.push('The database does not answer.'));
  if (reasons.length > 0) return { status: 'not ready', reasons };
  const { degradation } = pool;
  if (degradation !== null) return { status: 'degraded', reasons: [degradation.message] };
  return { status: 'ready', reasons };
}
