/** `cellhouse down --keep-sessions`, which the service of systemd runs after each end of its gateway. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { down } from '../../src/cli/down.ts';
import {
  ensureEmbeddedPostgres,
  runningPostgres,
  stopEmbeddedPostgres,
} from '../../src/postgres/embeddedPostgres.ts';
import { lockDataDir } from '../../src/process/gatewayLock.ts';

const parent = mkdtempSync(join(tmpdir(), 'cellhouse-down-'));
const dataDir = join(parent, 'data');
const logger = pino({ level: 'silent' });

beforeAll(async () => {
  await ensureEmbeddedPostgres({ dataDir, logger });
  vi.stubEnv('DATA_DIR', dataDir);
  vi.stubEnv('LOG_LEVEL', 'silent');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await stopEmbeddedPostgres({ dataDir, logger });
  rmSync(parent, { recursive: true });
});

it('leaves the process that works on DATA_DIR, and its PostgreSQL', async () => {
  const lock = await lockDataDir(dataDir);
  // SIGTERM to this process would end the test.
  await expect(down(['--keep-sessions'])).rejects.toThrow(`(process ${process.pid}) uses`);
  expect(runningPostgres(dataDir)).not.toBeNull();
  await lock.release();
});

it('stops PostgreSQL, also if DATABASE_URL is set by now or another setting is wrong', async () => {
  vi.stubEnv('DATABASE_URL', 'postgres://db.example.com/cellhouse');
  vi.stubEnv('PORT', 'none');
  await down(['--keep-sessions']);
  expect(runningPostgres(dataDir)).toBeNull();
});
