/** One empty cluster for all files of test/e2e, which each gateway's data begins with (see testkit/seedCluster.ts). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { layoutOf } from '../../src/postgres/layout.ts';
import { CLUSTER_VARIABLE } from '../../testkit/seedCluster.ts';

/** The processes that run the tests inherit the variable. */
export default async function provideCluster(): Promise<() => void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'ch-cluster-'));
  const deps = { dataDir, logger: pino({ level: 'silent' }) };
  await ensureEmbeddedPostgres(deps);
  await stopEmbeddedPostgres(deps);
  process.env[CLUSTER_VARIABLE] = layoutOf(dataDir).data;
  return () => {
    delete process.env[CLUSTER_VARIABLE];
    rmSync(dataDir, { recursive: true, force: true });
  };
}
