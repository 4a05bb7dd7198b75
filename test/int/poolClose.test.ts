/** A pool that is closed while it still starts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { composePool } from '../../src/gateway.ts';
import { useDatabase } from '../support/database.ts';
import { createGate } from '../support/gate.ts';
import { createProgrammedRuntime } from '../support/programmedRuntime.ts';

const db = await useDatabase();

it('a pool that is closed while it starts does not watch the engine afterwards', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ch-pool-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const workers = createProgrammedRuntime();
  onTestFinished(() => workers.close());
  const database = await db.open();
  const gate = createGate();
  const watchers = new Set<object>();
  const { poolId } = await database.queries.poolIdentity('here');
  const { pool } = composePool({
    config: loadConfig({ SOCKET_DIR: folder, DATA_DIR: folder, MIN_IDLE_WORKERS: '0' }),
    database: {
      ...database,
      leases: {
        ...database.leases,
        announce: async () => {
          await gate.isOpen;
          await database.leases.announce();
        },
      },
    },
    runtime: {
      ...workers.runtime,
      watch: () => {
        const watcher = { close: () => void watchers.delete(watcher) };
        watchers.add(watcher);
        return watcher;
      },
    },
    poolId,
    logger: pino({ level: 'silent' }),
  });
  const starting = pool.start(false);
  await pool.close(0);
  gate.open();
  await starting;
  expect(watchers.size).toBe(0);
});
