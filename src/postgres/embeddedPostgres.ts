/**
 * The PostgreSQL that Cellhouse brings along, for whoever sets no DATABASE_URL. It lives in DATA_DIR, outlives the
 * gateway that started it, and is found again by the next.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import type { Logger } from 'pino';
import { installBinaries } from './binaries.ts';
import { DATABASE, ensureCluster, ROLE } from './cluster.ts';
import { type Layout, layoutOf } from './layout.ts';
import { startServer, stopServer, waitUntilReady } from './server.ts';
import type { ServerStatus } from './serverStatus.ts';
import { chooseServerUser } from './serverUser.ts';
import type { SocketAddress } from './socketAddress.ts';

export interface EmbeddedPostgresDeps {
  /** Made if it is not there. */
  readonly dataDir: string;
  readonly logger: Pick<Logger, 'info'>;
}

/**
 * Resolves with the address of a server that takes connections: the one that runs already, else one started now, after
 * recovery if the last was killed. Several processes may call it at the same time.
 * @throws Error that says what failed, with the last lines of the server's log
 */
export async function ensureEmbeddedPostgres(deps: EmbeddedPostgresDeps): Promise<SocketAddress> {
  // Others may pass through, to reach the server's own folders, but not look: what is secret here is closed by itself.
  mkdirSync(deps.dataDir, { recursive: true, mode: 0o711 });
  const layout = layoutOf(deps.dataDir);
  mkdirSync(layout.root, { recursive: true, mode: 0o711 });
  const status = (await runningServer(layout)) ?? (await startFresh(layout, deps.logger));
  return { host: status.socketDir, port: status.port, database: DATABASE, username: ROLE };
}

/** Stops it and resolves when it is gone. False: it did not run. */
export async function stopEmbeddedPostgres(deps: EmbeddedPostgresDeps): Promise<boolean> {
  if (!existsSync(deps.dataDir)) return false;
  const layout = layoutOf(deps.dataDir);
  if (!existsSync(layout.data)) return false;
  const wasRunning = await stopServer(layout);
  rmSync(layout.socketDir, { recursive: true, force: true });
  if (wasRunning) deps.logger.info('embedded PostgreSQL stopped');
  return wasRunning;
}

/** None when the last one is just being stopped: that is waited for. */
async function runningServer(layout: Layout): Promise<ServerStatus | null> {
  return existsSync(layout.data) ? await waitUntilReady(layout) : null;
}

async function startFresh(layout: Layout, logger: Pick<Logger, 'info'>): Promise<ServerStatus> {
  const startedAt = performance.now();
  const binaries = installBinaries(layout.root);
  const user = chooseServerUser(layout.data);
  const cluster = await ensureCluster(layout, binaries, user);
  const status = await startServer(layout, binaries, user);
  const elapsedMs = Math.round(performance.now() - startedAt);
  logger.info({ postgresPid: status.pid, cluster, elapsedMs }, 'embedded PostgreSQL started');
  return status;
}
