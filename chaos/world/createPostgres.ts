/** The run's own PostgreSQL: the embedded one, but started and stopped from here. Gateways get it as DATABASE_URL. */
import { pino } from 'pino';
import {
  type Client,
  createClient,
  type DatabaseAddress,
} from '../../src/events/connection/client.ts';
import { layoutOf, socketOf } from '../../src/postgres/cluster.ts';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { findClusterProcesses, signal } from '../../src/postgres/server.ts';

const CLOSE_TIMEOUT_MS = 1_000;

export interface Postgres {
  readonly socketPath: string;
  readonly user: string;
  readonly database: string;
  readonly address: DatabaseAddress;
  /** For the run's own queries. Its connections have the name `cellhouse chaos`. */
  readonly client: Client;
  /** Resolves when the server accepts connections. */
  start(): Promise<void>;
  /** Kills the main process with SIGKILL. The server's other processes notice that and end. */
  kill(): void;
  /** An orderly stop. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** @param dataDir created if it is missing */
export async function createPostgres(dataDir: string): Promise<Postgres> {
  const deps = { dataDir, logger: pino({ level: 'silent' }) };
  const address = await ensureEmbeddedPostgres(deps);
  const layout = layoutOf(dataDir);
  const client = createClient(address satisfies DatabaseAddress, {
    name: 'chaos',
    maxConnections: 2,
    statementTimeoutMs: 0,
    answerTimeoutMs: 60_000,
  });
  return {
    socketPath: socketOf(layout),
    user: address.username,
    database: address.database,
    address,
    client,
    start: async () => {
      await ensureEmbeddedPostgres(deps);
    },
    kill: () => {
      const { postmaster } = findClusterProcesses(layout.data);
      if (postmaster !== null) signal(postmaster, 'SIGKILL');
    },
    stop: async () => {
      await stopEmbeddedPostgres(deps);
    },
    close: async () => {
      await client.close(CLOSE_TIMEOUT_MS);
      await stopEmbeddedPostgres(deps);
    },
  };
}
