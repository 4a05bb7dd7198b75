/**
 * The composition root: wires every part, starts them in order, and stops them in reverse. It is the one file that sees
 * them all.
 */
import { type Logger, pino } from 'pino';
import type { Config } from './config.ts';
import { gatewayIdOf, makeDataDir, tokenOf, tokenPath } from './dataDir.ts';
import { messageOf } from './errors.ts';
import type { Database } from './events/database.ts';
import type { DatabaseAddress } from './events/databaseAddress.ts';
import type { EndStatus } from './events/eventTypes.ts';
import { openDatabase } from './events/openDatabase.ts';
import { lockDataDir } from './gatewayLock.ts';
import { newId, type PoolId } from './ids.ts';
import { createMessageCounts, type MessageCounts } from './kernel/messageCounts.ts';
import { createDockerRuntime } from './pool/dockerRuntime.ts';
import { createFinishWaiters } from './pool/finishWaiters.ts';
import { createInterpreterService } from './pool/interpreterService.ts';
import { createOpenSessions } from './pool/openSessions.ts';
import { createPool, type Pool } from './pool/pool.ts';
import type { Engine, Runtime } from './pool/runtime.ts';
import { createSharedOutput, type SharedOutput } from './pool/sharedOutput.ts';
import { ensureEmbeddedPostgres } from './postgres/embeddedPostgres.ts';
import { keepEmbeddedPostgres } from './postgres/keepEmbeddedPostgres.ts';
import { createServer } from './server/createServer.ts';
import type { Readiness } from './server/health.ts';

/** What stopping gives the last outputs to be stored; the rest stays with the agents. */
const DRAIN_OUTPUT_MS = 1_000;

const NO_LIVE_RESTORE =
  'live-restore is off in this Docker engine: whenever it restarts, it ends all workers, and with them every session. Set "live-restore": true in its daemon.json';

export interface Gateway {
  readonly address: string;
  /** Null: AUTH_TOKEN was given. */
  readonly tokenFile: string | null;
  /** Stops: no new work, sessions and running code go on in their workers. */
  close(): Promise<void>;
}

/** Starts a gateway. Resolves when it serves and its workers are adopted. @throws Error with a message for the operator */
export async function startGateway(config: Config): Promise<Gateway> {
  const closers: (() => Promise<unknown>)[] = [];
  const logger: Logger = pino({ level: config.logLevel });
  try {
    makeDataDir(config.dataDir);
    const lock = await lockDataDir(config.dataDir);
    closers.push(() => lock.release());
    const installation = await openInstallation(config, logger, closers);
    const { database, pool, engine, messageCounts, sharedOutput } = installation;
    requireRuntime(engine, config);
    if (!engine.keepsContainers) logger.warn(NO_LIVE_RESTORE);
    const sessions = createOpenSessions(database.queries);
    const finishWaiters = createFinishWaiters(database.queries);
    const ended = new Map<EndStatus, number>();
    // Before the pool's own listener is heard: whoever is woken by a finished execution finds its session up to date.
    database.wakeUps.onEvent((recorded) => {
      sessions.apply(recorded);
      finishWaiters.apply(recorded);
      const { event } = recorded;
      if (event.type !== 'ExecutionFinished') return;
      ended.set(event.data.status, (ended.get(event.data.status) ?? 0) + 1);
    });
    const service = createInterpreterService({
      config,
      database,
      pool,
      sessions,
      finishWaiters,
      sharedOutput,
      newId,
      now: () => new Date(),
    });
    const server = createServer({
      config,
      service,
      token: config.authToken ?? tokenOf(config.dataDir),
      readiness: () => readiness(database, pool),
      endedExecutions: () => ended,
      messageCounts: () => messageCounts,
      outputFollowers: () => sharedOutput.count,
      logger,
    });
    const { port } = await server.listen();
    closers.push(() => pool.close(DRAIN_OUTPUT_MS));
    closers.push(() => server.close());
    await sessions.load();
    await pool.start();
    const host = config.host.includes(':') ? `[${config.host}]` : config.host;
    return {
      address: `http://${host}:${port}`,
      tokenFile: config.authToken === null ? tokenPath(config.dataDir) : null,
      close: () => closeAll(closers),
    };
  } catch (error: unknown) {
    await closeAll(closers).catch((cause: unknown) =>
      logger.error({ err: cause }, 'the failed start left something open'),
    );
    throw error;
  }
}

interface Installation {
  readonly database: Database;
  readonly pool: Pool;
  readonly engine: Engine;
  readonly messageCounts: MessageCounts;
  readonly sharedOutput: SharedOutput;
}

/** Database, engine and pool, without a server: what serving and ending have in common. */
export async function openInstallation(
  config: Config,
  logger: Logger,
  closers: (() => Promise<unknown>)[],
): Promise<Installation> {
  const address = await databaseAddress(config, logger);
  if (config.databaseUrl === null) {
    const keeper = keepEmbeddedPostgres({ dataDir: config.dataDir, logger });
    closers.push(() => keeper.close());
  }
  const runtime = createDockerRuntime({
    socketPath: config.dockerSocketPath,
    ociRuntime: config.dockerRuntime,
    logger,
  });
  const gatewayId = gatewayIdOf(config.dataDir);
  const database = await openDatabase(address, { gatewayId, logger, newId });
  closers.push(() => database.close());
  const engine = await engineOf(runtime, config);
  const poolId = await poolOfEngine(database, engine, config);
  const messageCounts = createMessageCounts();
  const sharedOutput = createSharedOutput();
  const pool = createPool({
    config,
    database,
    runtime,
    poolId,
    workerImage: config.workerImage ?? '',
    logger,
    messageCounts,
    sharedOutput,
    newId,
    now: () => new Date(),
    random: Math.random,
  });
  return { database, pool, engine, messageCounts, sharedOutput };
}

/** DATABASE_URL, else the embedded server, started if it does not run. */
export async function databaseAddress(config: Config, logger: Logger): Promise<DatabaseAddress> {
  if (config.databaseUrl !== null) return { url: config.databaseUrl };
  return await ensureEmbeddedPostgres({ dataDir: config.dataDir, logger });
}

function engineOf(runtime: Runtime, config: Config): Promise<Engine> {
  return runtime.engine().catch((cause: unknown) => {
    throw new Error(
      `The Docker engine at ${config.dockerSocketPath} does not answer (${messageOf(cause)}). Start it, or set DOCKER_HOST.`,
      { cause },
    );
  });
}

/** A shim's full name need not be configured; any other name must be. @throws Error that says what to do */
function requireRuntime(
  { ociRuntimes }: Engine,
  { dockerRuntime, dockerSocketPath }: Config,
): void {
  if (ociRuntimes.includes(dockerRuntime) || dockerRuntime.startsWith('io.containerd.')) return;
  throw new Error(
    `DOCKER_RUNTIME is ${dockerRuntime}, but the Docker engine at ${dockerSocketPath} has only: ${ociRuntimes.join(', ')}. For runsc (gVisor) run, as root: node scripts/setup-runsc.mjs`,
  );
}

/** A pool's containers live on one engine; on another they would all look lost. */
async function poolOfEngine(
  database: Database,
  { id: engineId }: Engine,
  config: Config,
): Promise<PoolId> {
  const identity = await database.queries.poolIdentity(engineId);
  if (identity.engineId !== engineId) {
    throw new Error(
      `This installation's workers are on the Docker engine ${identity.engineId}; the one at ${config.dockerSocketPath} is ${engineId}. Set DOCKER_HOST to the former, or start on another DATA_DIR or DATABASE_URL.`,
    );
  }
  return identity.poolId;
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

/** In reverse order of opening; one that fails does not keep the others open. */
export async function closeAll(closers: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers.splice(0).reverse()) {
    await close().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Not everything could be closed.');
}
