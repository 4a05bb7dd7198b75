/** Makes one empty cluster for all files of test/e2e. Each gateway starts with a copy (see testkit/seedCluster.ts). */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import {
  ensureEmbeddedPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { layoutOf } from '../../src/postgres/layout.ts';
import { CLUSTER_VARIABLE } from '../../testkit/seedCluster.ts';

/** Contains the id of the owning process. Any test run removes folders whose process is gone. */
const OWNED = /^ch-cluster-(\d+)-/;

/** The first project of a run makes the cluster for all. The processes that run the tests inherit the variable. */
export default async function provideCluster(): Promise<() => void> {
  if (process.env[CLUSTER_VARIABLE] !== undefined) return () => undefined;
  removeAbandoned();
  const dataDir = mkdtempSync(join(tmpdir(), `ch-cluster-${process.pid}-`));
  const deps = { dataDir, logger: pino({ level: 'silent' }) };
  await ensureEmbeddedPostgres(deps);
  await stopEmbeddedPostgres(deps);
  process.env[CLUSTER_VARIABLE] = layoutOf(dataDir).root;
  return () => rmSync(dataDir, { recursive: true, force: true });
}

function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = OWNED.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}
