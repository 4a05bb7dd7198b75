/** Creates the PostgreSQL, engine, gateways and wires of a run, all of them separate from the machine's own. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Closers, closeAll } from '../../src/async/closeAll.ts';
import { explain } from '../../src/domain/errors.ts';
import { stopEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';
import { signal } from '../../src/postgres/server.ts';
import { gatewayIdOf } from '../../src/process/dataDir.ts';
import { freePort } from '../../testkit/freePort.ts';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { until } from '../../testkit/until.ts';
import { type Quotas, stopwatch } from '../history.ts';
import { createGateway, type Gateway } from './createGateway.ts';
import { createPostgres, type Postgres } from './createPostgres.ts';
import { createWire, type Wire } from './createWire.ts';
import { MAX_COMMANDS, quotasFor } from './quotas.ts';

export interface World {
  readonly root: string;
  readonly token: string;
  readonly quotas: Quotas;
  readonly gatewayIds: readonly string[];
  readonly postgres: Postgres;
  readonly engine: OwnEngine;
  readonly wires: readonly Wire[];
  readonly gateways: readonly Gateway[];
  readonly socketDir: string;
  /** Ends everything, in whatever state it is. Idempotent. */
  close(): Promise<void>;
}

interface WorldDeps {
  readonly gateways: number;
  readonly users: number;
  readonly workerImage: string;
  readonly say: (line: string) => void;
  readonly onCrash: (gateway: number, how: string) => void;
}

/**
 * Workers for the users of doors, in addition to one for each user of GraphQL. So there are no more workers than users,
 * and idle workers of one environment must make way for sessions in another.
 */
const SPARE_WORKERS = 2;

/**
 * The limits of workers are small, so that a disk fills quickly and many workers fit on a small machine. The memory is
 * enough for all that a user may keep open at once: three kernels, a server and commands.
 */
const SETTINGS = {
  LOG_LEVEL: 'info',
  MIN_IDLE_WORKERS: '2',
  WORKER_MEMORY_MB: '384',
  WORKER_DISK_MB: '16',
  // The smallest size, so that output can overflow it while no gateway stores it.
  REPLAY_BUFFER_BYTES: '1048576',
  // Even on an overloaded machine, code must have enough time to react to an interrupt.
  INTERRUPT_GRACE_MS: '15000',
};

export async function createWorld(deps: WorldDeps): Promise<World> {
  const root = await makeRootFolder();
  const closers: Closers = [() => removeRootFolder(root)];
  const close = () =>
    closeAll(closers).catch((error: unknown) => deps.say(`clean-up: ${explain(error)}`));
  try {
    return { ...(await open(deps, root, closers)), root, close };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

async function open(
  deps: WorldDeps,
  root: string,
  closers: Closers,
): Promise<Omit<World, 'root' | 'close'>> {
  const took = stopwatch();
  const engine = await createOwnEngine();
  deps.say(`what killed runs left is removed after ${took()}`);
  closers.push(() => engine.destroy());
  await engine.load(deps.workerImage);
  await engine.start();
  deps.say(`the engine has started with its image after ${took()}`);
  const postgres = await createPostgres(join(root, 'database'));
  closers.push(() => postgres.close());
  deps.say(`PostgreSQL has started after ${took()}`);
  const token = randomUUID();
  const quotas = quotasFor(deps.users);
  const socketDir = join(root, 's');
  mkdirSync(socketDir);
  const wires: Wire[] = [];
  const gateways: Gateway[] = [];
  for (let index = 0; index < deps.gateways; index += 1) {
    const wire = await createWire(postgres.socketPath);
    wires.push(wire);
    closers.push(() => wire.close());
    const port = await freePort();
    const env = {
      ...SETTINGS,
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      AUTH_TOKEN: token,
      DATABASE_URL: `postgres://${postgres.user}@127.0.0.1:${wire.port}/${postgres.database}`,
      DATA_DIR: join(root, `gateway-${index}`),
      DOCKER_HOST: engine.host,
      MAX_COMMANDS: String(MAX_COMMANDS),
      QUOTA_TENANT_OPEN_SESSIONS: String(quotas.openSessionsOfTenant),
      QUOTA_USER_EXECUTIONS_PER_MINUTE: String(quotas.executionsPerMinuteOfUser),
      MAX_TOTAL_WORKERS: String(deps.users + SPARE_WORKERS),
      // The nemesis tries revoked tokens from the address that all clients share. This must not lock the clients out.
      AUTH_FAILURES_PER_MINUTE: '10000',
      PORT: String(port),
      SOCKET_DIR: socketDir,
      WORKER_IMAGE: deps.workerImage,
    };
    const gateway = createGateway({
      index,
      port,
      env,
      logFile: join(root, `gateway-${index}.log`),
      onCrash: (how) => deps.onCrash(index, how),
    });
    gateways.push(gateway);
    closers.push(() => gateway.close());
  }
  await Promise.all(gateways.map((gateway) => gateway.untilReady()));
  deps.say(`all gateways are ready after ${took()}`);
  const gatewayIds = gateways.map(({ env }) => gatewayIdOf(env.DATA_DIR ?? ''));
  return { token, quotas, gatewayIds, postgres, engine, wires, gateways, socketDir };
}

// Creates and removes the folder that holds everything of a run, and cleans up after killed runs.

/** Short, because the workers' sockets are below it, and a socket's path may have at most 107 bytes. */
const PREFIX = 'ch-chaos-';
const END_LIMIT_MS = 10_000;

/** Creates a new folder. First it removes the folders of dead runs and ends their processes. */
async function makeRootFolder(): Promise<string> {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('-')[0] : undefined;
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      await removeRootFolder(join(tmpdir(), name));
    }
  }
  return mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
}

/** Ends the folder's gateways and PostgreSQL, then removes the folder. The engine has its own folder elsewhere. */
async function removeRootFolder(root: string): Promise<void> {
  for (const pid of gatewaysIn(root)) signal(pid, 'SIGKILL');
  await until('the gateways are gone', async () => gatewaysIn(root).length === 0, END_LIMIT_MS);
  await stopEmbeddedPostgres({
    dataDir: join(root, 'database'),
    logger: pino({ level: 'silent' }),
  });
  rmSync(root, { recursive: true, force: true });
}

function gatewaysIn(root: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => environmentOf(pid).includes(`DATA_DIR=${root}/`));
}

/** Empty if the process has ended, or if we may not read its environment. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}
