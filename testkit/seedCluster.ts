import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where whoever runs many installations has put an empty cluster of the embedded PostgreSQL. */
export const CLUSTER_VARIABLE = 'CELLHOUSE_TEST_CLUSTER';

/**
 * A data directory begins with a copy of that cluster, if there is one: making it takes seconds of a CPU, and what is copied
 * is what would be made. Without one, the first start makes it, as anybody's does.
 */
export function seedCluster(dataDir: string): void {
  const cluster = process.env[CLUSTER_VARIABLE];
  if (cluster === undefined) return;
  const folder = join(dataDir, 'postgres');
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  // As it is: the server's user owns it.
  execFileSync('cp', ['--archive', cluster, join(folder, 'data')]);
}
