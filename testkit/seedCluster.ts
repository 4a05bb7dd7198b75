import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Names the folder with an empty cluster of the embedded PostgreSQL, which a test run prepares for its gateways. */
export const CLUSTER_VARIABLE = 'CELLHOUSE_TEST_CLUSTER';

/**
 * Copies the prepared cluster into a data directory, if there is one. Making a cluster takes seconds of CPU time, and
 * the copy is the same. Without a prepared cluster, the first start makes one as usual.
 */
export function seedCluster(dataDir: string): void {
  const cluster = process.env[CLUSTER_VARIABLE];
  if (cluster === undefined) return;
  const folder = join(dataDir, 'postgres');
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  // --archive keeps the owner, which must be the server's user.
  execFileSync('cp', ['--archive', cluster, join(folder, 'data')]);
}
