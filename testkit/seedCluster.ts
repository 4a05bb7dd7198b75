import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Names the folder of an embedded PostgreSQL with an empty cluster, which a test run prepares for its gateways. */
export const CLUSTER_VARIABLE = 'CELLHOUSE_TEST_CLUSTER';

/**
 * Copies the prepared cluster into a data directory, if there is one. Making a cluster takes seconds of CPU time, and
 * the copy is the same. The programs, which nobody changes, are linked. Without a prepared cluster, the first start makes
 * all this as usual.
 */
export function seedCluster(dataDir: string): void {
  const prepared = process.env[CLUSTER_VARIABLE];
  if (prepared === undefined) return;
  const folder = join(dataDir, 'postgres');
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const programs = readdirSync(prepared).filter((name) => name.startsWith('postgresql-'));
  // --archive keeps the owner, which must be the server's user.
  execFileSync('cp', ['--archive', join(prepared, 'data'), folder]);
  for (const name of programs)
    execFileSync('cp', ['--archive', '--link', join(prepared, name), folder]);
}
