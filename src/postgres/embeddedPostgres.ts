/**
 * The PostgreSQL that is included in Cellhouse, and is used if DATABASE_URL is not set. Its data is in DATA_DIR. The
 * server outlives the gateway that started it, and the next gateway finds it again.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import type { Logger } from 'pino';
import { repeat } from '../async/repeat.ts';
import {
  chooseServerUser,
  DATABASE,
  ensureCluster,
  installBinaries,
  type Layout,
  layoutOf,
  ROLE,
} from './cluster.ts';
import {
  findClusterProcesses,
  isAlive,
  readStatus,
  type ServerStatus,
  startServer,
  stopServer,
  waitUntilReady,
} from './server.ts';

/** Where the embedded PostgreSQL listens, in the form of client options. No password is needed: see `cluster.ts`. */
export interface SocketAddress {
  /** The folder of its Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
}

interface EmbeddedPostgresDeps {
  /** Created if it is missing. */
  readonly dataDir: string;
  readonly logger: Pick<Logger, 'info'>;
  /**
   * Limit of connections for a server that this call starts. By default {@link MAX_CONNECTIONS}, which is enough for
   * the gateways of one machine.
   */
  readonly maxConnections?: number;
}

const MAX_CONNECTIONS = 100;

/**
 * Resolves with the address of a server that accepts connections. If no server is running, this starts one. If the
 * previous server was killed, the new one first recovers. Several processes may call this at the same time.
 * @throws Error that says what failed, with the last lines of the server's log
 */
export async function ensureEmbeddedPostgres(deps: EmbeddedPostgresDeps): Promise<SocketAddress> {
  // The server's user may be another one than the gateway's, and must get through this folder to the cluster. So other
  // users may enter the folder, but not list it. The secret files in it have mode 0600.
  mkdirSync(deps.dataDir, { recursive: true, mode: 0o711 });
  const layout = layoutOf(deps.dataDir);
  mkdirSync(layout.root, { recursive: true, mode: 0o711 });
  return addressOf((await runningServer(layout)) ?? (await startFresh(layout, deps)));
}

function addressOf({ socketDir, port }: ServerStatus): SocketAddress {
  return { host: socketDir, port, database: DATABASE, username: ROLE };
}

/** The address of the server of a DATA_DIR that exists, if it accepts connections now. Starts nothing. */
export function runningPostgres(dataDir: string): SocketAddress | null {
  const layout = layoutOf(dataDir);
  if (!existsSync(layout.data)) return null;
  const status = readStatus(layout);
  const isReady = status?.isReady && status.pid === findClusterProcesses(layout.data).postmaster;
  return status && isReady ? addressOf(status) : null;
}

/** Stops the server and resolves when it is gone. False if it was not running. */
export async function stopEmbeddedPostgres(deps: EmbeddedPostgresDeps): Promise<boolean> {
  if (!existsSync(deps.dataDir)) return false;
  const layout = layoutOf(deps.dataDir);
  if (!existsSync(layout.data)) return false;
  const wasRunning = await stopServer(layout);
  rmSync(layout.socketDir, { recursive: true, force: true });
  if (wasRunning) deps.logger.info('embedded PostgreSQL stopped');
  return wasRunning;
}

/** The running server, or null. If a server is just starting or stopping, this waits for the result. */
async function runningServer(layout: Layout): Promise<ServerStatus | null> {
  return existsSync(layout.data) ? await waitUntilReady(layout) : null;
}

async function startFresh(
  layout: Layout,
  { logger, maxConnections = MAX_CONNECTIONS }: EmbeddedPostgresDeps,
): Promise<ServerStatus> {
  const startedAt = performance.now();
  const binaries = installBinaries(layout.root);
  const user = chooseServerUser(layout.data);
  const cluster = await ensureCluster(layout, binaries, user);
  const status = await startServer(layout, binaries, user, maxConnections);
  const elapsedMs = Math.round(performance.now() - startedAt);
  logger.info({ postgresPid: status.pid, cluster, elapsedMs }, 'embedded PostgreSQL started');
  return status;
}

/** Each check reads one small file and makes one system call. */
const POLL_INTERVAL_MS = 1_000;

/**
 * Until `close()`, starts the embedded server again whenever it has died. Nothing else restarts it. While it is away,
 * code keeps running in the workers.
 */
export function keepEmbeddedPostgres(
  deps: EmbeddedPostgresDeps & { readonly logger: Pick<Logger, 'info' | 'warn' | 'error'> },
): { close(): Promise<void> } {
  const closing = new AbortController();
  const kept = keep(deps, closing.signal);
  return {
    close: async () => {
      closing.abort();
      await kept;
    },
  };
}

async function keep(
  deps: Parameters<typeof keepEmbeddedPostgres>[0],
  signal: AbortSignal,
): Promise<void> {
  const layout = layoutOf(deps.dataDir);
  const poll = async () => {
    const status = readStatus(layout);
    if (status !== null && isAlive(status.pid)) return;
    deps.logger.warn('the embedded PostgreSQL has died; starting it again');
    await ensureEmbeddedPostgres(deps).catch((error: unknown) =>
      deps.logger.error({ err: error }, 'could not start the embedded PostgreSQL; trying again'),
    );
  };
  await repeat(POLL_INTERVAL_MS, signal, poll);
}
