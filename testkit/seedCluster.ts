import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The environment variable with the folder of an embedded PostgreSQL. A test run prepares this folder, with an empty
 * cluster, for its gateways.
 */
export const CLUSTER_VARIABLE = 'CELLHOUSE_TEST_CLUSTER';

/**
 * Copies the prepared cluster, if there is one, into a data directory. Making a cluster takes seconds of CPU time, and
 * a copy is just as good. The programs are linked, because nobody changes them. Without a prepared cluster, the first
 * start makes cluster and programs as usual.
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
