/** Gateways on one database for tests of the service: composed as in the product, with programmed workers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach } from 'vitest';
import { type TestDatabase, useDatabase } from './database.ts';
import { createProgrammedRuntime, type ProgrammedRuntime } from './programmedRuntime.ts';
import {
  type ServingGateway,
  type ServingGatewayDeps,
  startServingGateway,
} from './servingGateway.ts';

type Settings = NonNullable<ServingGatewayDeps['settings']>;

export interface ServiceGateways {
  readonly db: TestDatabase;
  readonly workers: ProgrammedRuntime;
  /** Starts a gateway. It is closed with the test file. */
  start(
    own?: Pick<Partial<ServingGatewayDeps>, 'database' | 'settings' | 'logger'>,
  ): Promise<ServingGateway>;
  /** The user of the present test. */
  userUuid(): string;
}

/** @param settings of all gateways that are not started with others */
export async function useServiceGateways(settings: Settings = {}): Promise<ServiceGateways> {
  const db = await useDatabase();
  const socketDir = mkdtempSync(join(tmpdir(), 'ch-service-'));
  const workers = createProgrammedRuntime();
  const started: ServingGateway[] = [];
  let user = 0;
  beforeEach(() => {
    user += 1;
  });
  afterAll(async () => {
    workers.letGo();
    for (const gateway of started) await gateway.close();
    await workers.close();
    rmSync(socketDir, { recursive: true, force: true });
  });
  return {
    db,
    workers,
    start: async (own = {}) => {
      const database = own.database ?? (await db.open());
      const { runtime } = workers;
      const gateway = await startServingGateway({
        database,
        runtime,
        socketDir,
        settings: own.settings ?? settings,
        ...(own.logger && { logger: own.logger }),
      });
      started.push(gateway);
      return gateway;
    },
    userUuid: () => `user-${user}`,
  };
}
