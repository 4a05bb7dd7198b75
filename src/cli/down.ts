import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { type Closers, closeAll } from '../async/closeAll.ts';
import { pollUntil } from '../async/pollUntil.ts';
import { type Config, loadConfig, loadDataPlace } from '../config/config.ts';
import { LEASE_TTL_MS, type Leases } from '../events/leases/leases.ts';
import { openInstallation } from '../gateway.ts';
import { stopEmbeddedPostgres } from '../postgres/embeddedPostgres.ts';
import { makeDataDir } from '../process/dataDir.ts';
import { liveGateway, lockDataDir } from '../process/gatewayLock.ts';
import { parseOptions } from './commandLine.ts';

/** Longer than a gateway needs to drain. */
const GATEWAY_STOP_TIMEOUT_MS = 15_000;
const GATEWAY_STOP_POLL_MS = 50;

/**
 * `cellhouse down`: ends everything in this installation, with `--keep-sessions` only the embedded PostgreSQL.
 * @param words the arguments after `down`
 * @throws Error if something is left
 */
export async function down(words: readonly string[]): Promise<void> {
  const { keepsSessions } = downArguments(words);
  if (keepsSessions) return await stopPostgresOnly();
  const config = loadConfig(process.env);
  const logger = pino({ level: config.logLevel });
  await stopGateway(config, logger);
  const hasEmbedded = existsSync(join(config.dataDir, 'postgres'));
  if (config.databaseUrl !== null || hasEmbedded) await endWorkers(config, logger);
  // Also with a DATABASE_URL: the embedded PostgreSQL may still run from before it was set.
  await stopEmbeddedPostgres({ dataDir: config.dataDir, logger });
  console.log(
    'Cellhouse is down: no session, no container, no database process of this installation is left.',
  );
}

/** Parses the words after `cellhouse down`. @throws Error that says what is wrong */
export function downArguments(words: readonly string[]): { readonly keepsSessions: boolean } {
  const options = { 'keep-sessions': { type: 'boolean', default: false } } as const;
  return { keepsSessions: parseOptions(words, { options }).values['keep-sessions'] };
}

/**
 * systemd runs this after each end of the gateway, however it ended and whatever its settings are by now. So this needs
 * only a correct DATA_DIR. It ends only PostgreSQL, because another command may work on DATA_DIR.
 */
async function stopPostgresOnly(): Promise<void> {
  const { dataDir, logLevel } = loadDataPlace(process.env);
  const live = existsSync(dataDir) ? await liveGateway(dataDir) : null;
  if (live !== null)
    throw new Error(
      `A gateway, a backup or a restore (process ${live.pid}) uses ${dataDir}, so PostgreSQL goes on.`,
    );
  const wasRunning = await stopEmbeddedPostgres({ dataDir, logger: pino({ level: logLevel }) });
  const ended = wasRunning ? 'The embedded PostgreSQL has ended. ' : '';
  console.log(`${ended}Sessions go on in their containers.`);
}

async function endWorkers(config: Config, logger: Logger): Promise<void> {
  makeDataDir(config.dataDir);
  const closers: Closers = [];
  try {
    const lock = await lockDataDir(config.dataDir);
    closers.push(() => lock.release());
    // Without the engine nothing could be removed.
    const engine = { mayBeAway: false };
    const { database, pool } = await openInstallation(config, logger, closers, engine);
    await refuseBesideOthers(database.leases);
    await pool.shutDown();
    await pool.close(0);
  } finally {
    await closeAll(closers);
  }
}

/** Asks the gateway that runs on this DATA_DIR to stop, and waits until it has. */
async function stopGateway(config: Config, logger: Logger): Promise<void> {
  const live = existsSync(config.dataDir) ? await liveGateway(config.dataDir) : null;
  if (live === null) return;
  if (!live.isOfThisNamespace) {
    throw new Error(
      'The gateway runs in another container. Stop it first, e.g. docker compose stop gateway.',
    );
  }
  logger.info({ gatewayPid: live.pid }, 'stopping the gateway');
  process.kill(live.pid, 'SIGTERM');
  const isGone = await pollUntil(
    { everyMs: GATEWAY_STOP_POLL_MS, limitMs: GATEWAY_STOP_TIMEOUT_MS },
    async () => (await liveGateway(config.dataDir)) === null,
  );
  if (isGone) return;
  throw new Error(`The gateway (process ${live.pid}) did not stop. End it, then repeat this.`);
}

/**
 * Refuses to go on while other gateways run, because they would replace the workers that are ended here. A gateway that
 * has just died counts as running until its lease expires.
 */
async function refuseBesideOthers(leases: Leases): Promise<void> {
  let others: readonly string[] = [];
  const isAlone = await pollUntil(
    { everyMs: GATEWAY_STOP_POLL_MS, limitMs: LEASE_TTL_MS + GATEWAY_STOP_POLL_MS },
    async () => {
      others = await leases.otherGateways();
      return others.length === 0;
    },
  );
  if (isAlone) return;
  throw new Error(
    `Other gateways of this installation are running: ${others.join(', ')}. The file gateway-id in a DATA_DIR contains the id of its gateway. Stop those gateways first, then repeat this. So far, nothing has been ended except the gateway on this DATA_DIR.`,
  );
}
