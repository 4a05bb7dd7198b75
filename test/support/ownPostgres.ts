/** A test's own PostgreSQL behind a proxy, which the test can kill and start again. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { layoutOf } from '../../src/postgres/cluster.ts';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { findClusterProcesses } from '../../src/postgres/server.ts';
import { seedCluster } from '../../testkit/seedCluster.ts';
import { until } from '../../testkit/until.ts';
import { createDatabaseProxy, type DatabaseProxy } from './databaseProxy.ts';

export interface OwnPostgres {
  /** The proxy; its `url` is for DATABASE_URL. */
  readonly wire: DatabaseProxy;
  /** kill -9 of all its processes; resolves when they are gone. */
  kill(): Promise<void>;
  /** Resolves when it takes connections, recovery included. */
  start(): Promise<void>;
  destroy(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ch-own-postgres-'));
  const deps = { dataDir, logger: pino({ level: 'silent' }) };
  seedCluster(dataDir);
  const wire = await createDatabaseProxy(await ensureEmbeddedPostgres(deps));
  return {
    wire,
    kill: async () => {
      const { postmaster } = findClusterProcesses(layoutOf(dataDir).data);
      if (postmaster === null) throw new Error('It does not run.');
      const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
      process.kill(postmaster, 'SIGKILL');
      for (const pid of children.trim().split(/\s+/).filter(Boolean)) killIfThere(Number(pid));
      await until('PostgreSQL is gone', async () => {
        const left = findClusterProcesses(layoutOf(dataDir).data);
        return left.postmaster === null && left.survivors.length === 0;
      });
    },
    start: async () => {
      await ensureEmbeddedPostgres(deps);
    },
    destroy: async () => {
      await wire.close();
      await stopEmbeddedPostgres(deps);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** A child process may have ended with its parent. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error: unknown) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
