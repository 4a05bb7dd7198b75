/**
 * The product's service with only a database behind it: everything that reads works, everything that needs a worker
 * fails.
 */
import { pino } from 'pino';
import { loadConfig } from '../../src/config/config.ts';
import type { Database } from '../../src/events/database.ts';
import { composeService } from '../../src/gateway.ts';
import type { Pool } from '../../src/pool/pool.ts';
import { createSharedOutput } from '../../src/service/output/sharedOutput.ts';
import type { Service } from '../../src/service/service.ts';
import { POOL_ID } from '../../testkit/events.ts';

export function databaseService(database: Database, maxResponseBytes = 1_000_000): Service {
  const config = { ...loadConfig({ SOCKET_DIR: '/run/x', DATA_DIR: '/var/x' }), maxResponseBytes };
  const pool = { id: POOL_ID } as Pool;
  const sharedOutput = createSharedOutput();
  const logger = pino({ level: 'silent' });
  const environments = {
    baseImageId: async () => 'sha256:base',
    hashOf: async () => 'f'.repeat(64),
    start: () => undefined,
    close: async () => undefined,
  };
  return composeService(config, { database, pool, environments, sharedOutput, logger }).service;
}
