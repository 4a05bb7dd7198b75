#!/usr/bin/env node
/** The `cellhouse` command. */
import './productionMode.ts';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { openArchive } from './archiveFile.ts';
import { type Config, ConfigError, loadConfig, loadServeConfig } from './config.ts';
import { makeDataDir } from './dataDir.ts';
import { explain } from './errors.ts';
import { LEASE_TTL_MS, type Leases } from './events/leases.ts';
import { rebuildProjections } from './events/projections/rebuildProjections.ts';
import { pruneHistory } from './events/retention/pruneHistory.ts';
import { liveGateway, lockDataDir } from './gatewayLock.ts';
import { limitHeapGrowth } from './limitHeapGrowth.ts';
import { closeAll, databaseAddress, openInstallation, startGateway } from './main.ts';
import { optimizeEarly } from './optimizeEarly.ts';
import { stopEmbeddedPostgres } from './postgres/embeddedPostgres.ts';
import { pruneArguments } from './pruneArguments.ts';
import { onStopSignals } from './stopSignals.ts';

const USAGE = `Usage: cellhouse <command>

  serve          start the gateway (npm start also makes what is missing first)
  down           end everything of this installation: sessions, containers, embedded PostgreSQL
  rebuild        make the projections equal to what the events say; gateways may serve meanwhile
  prune          delete output and events of what ended long ago; the rows that audits ask of stay
                 --older-than-days N   how long ago, at least 1
                 --archive FILE        append what is deleted to a file first, one JSON object a line
  config check   read the environment, list every problem, print what is in force

Settings are environment variables; the README lists them.`;

/** Longer than a gateway takes to drain. */
const GATEWAY_STOP_TIMEOUT_MS = 15_000;
const GATEWAY_STOP_LOOK_MS = 50;
const MS_PER_DAY = 86_400_000;

async function serve(): Promise<void> {
  limitHeapGrowth();
  optimizeEarly();
  const config = loadServeConfig(process.env);
  const gateway = await startGateway(config);
  console.log(`Cellhouse serves ${gateway.address}/graphql`);
  if (gateway.tokenFile) console.log(`The token is in ${gateway.tokenFile}`);
  onStopSignals(() => gateway.close());
}

async function down(): Promise<void> {
  const config = loadConfig(process.env);
  const logger = pino({ level: config.logLevel });
  await stopGateway(config, logger);
  const hasEmbedded = existsSync(join(config.dataDir, 'postgres'));
  if (config.databaseUrl !== null || hasEmbedded) {
    makeDataDir(config.dataDir);
    const closers: (() => Promise<unknown>)[] = [];
    try {
      const lock = await lockDataDir(config.dataDir);
      closers.push(() => lock.release());
      const { database, pool } = await openInstallation(config, logger, closers);
      await refuseBesideOthers(database.leases);
      await pool.shutDown();
      await pool.close(0);
    } finally {
      await closeAll(closers);
    }
  }
  if (config.databaseUrl === null) await stopEmbeddedPostgres({ dataDir: config.dataDir, logger });
  console.log(
    'Cellhouse is down: no session, no container, no database process of this installation is left.',
  );
}

async function rebuild(): Promise<void> {
  const config = loadConfig(process.env);
  const address = await databaseAddress(config, pino({ level: config.logLevel }));
  const startedAt = performance.now();
  const rebuilt = await rebuildProjections(address);
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`Rebuilt in ${seconds.toFixed(1)} s: ${JSON.stringify(rebuilt)}`);
}

async function prune(words: readonly string[]): Promise<void> {
  const { days, archivePath } = pruneArguments(words);
  const config = loadConfig(process.env);
  const address = await databaseAddress(config, pino({ level: config.logLevel }));
  const before = new Date(Date.now() - days * MS_PER_DAY);
  const archive = archivePath === null ? null : await openArchive(archivePath);
  try {
    const pruned = await pruneHistory(address, { before, archive: archive?.append ?? null });
    console.log(`Pruned what ended before ${before.toISOString()}: ${JSON.stringify(pruned)}`);
  } finally {
    await archive?.close();
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
  const limit = Date.now() + GATEWAY_STOP_TIMEOUT_MS;
  while ((await liveGateway(config.dataDir)) !== null) {
    if (Date.now() > limit)
      throw new Error(`The gateway (process ${live.pid}) did not stop. End it, then repeat this.`);
    await delay(GATEWAY_STOP_LOOK_MS);
  }
}

/** A gateway that lives would make good what is ended here. One that died just now is held to live until its lease expires. */
async function refuseBesideOthers(leases: Leases): Promise<void> {
  const limit = Date.now() + LEASE_TTL_MS + GATEWAY_STOP_LOOK_MS;
  for (;;) {
    const others = await leases.otherGateways();
    if (others.length === 0) return;
    if (Date.now() > limit)
      throw new Error(
        `Other gateways of this installation run (${others.join(', ')}: what gateway-id in a DATA_DIR says). Stop those first, then repeat this; nothing is ended yet but the gateway here.`,
      );
    await delay(GATEWAY_STOP_LOOK_MS);
  }
}

/** Everything that is in force; secrets only say whether they are set. */
function checkConfig(): void {
  const config = loadConfig(process.env);
  const secret = (value: string | null) => (value === null ? null : '(set, not shown)');
  const shown = {
    ...config,
    authToken: secret(config.authToken),
    databaseUrl: secret(config.databaseUrl),
  };
  console.log(JSON.stringify(shown, null, 2));
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

async function run(words: readonly string[]): Promise<void> {
  switch (words[0] === 'prune' ? 'prune' : words.join(' ')) {
    case 'serve':
      return await serve();
    case 'down':
      return await down();
    case 'rebuild':
      return await rebuild();
    case 'prune':
      return await prune(words.slice(1));
    case 'config check':
      return checkConfig();
    case '--version':
      return console.log(version());
    case '--help':
      return console.log(USAGE);
    default:
      console.error(USAGE);
      process.exitCode = 1;
  }
}

/** An operator is told what to do; where the code went wrong is of no use to them unless they ask for it. */
function report(error: unknown): void {
  if (error instanceof ConfigError) console.error(error.message);
  else console.error(`cellhouse: ${explain(error)}`);
  if (process.env.LOG_LEVEL === 'debug') console.error(error);
  process.exitCode = 1;
}

await run(process.argv.slice(2)).catch(report);
