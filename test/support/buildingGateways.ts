/** Gateways that build environments with an engine and try them with workers. The test programs engine and workers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, onTestFinished } from 'vitest';
import { TRIAL_CODE } from '../../src/environments/trial.ts';
import type { Database } from '../../src/events/database.ts';
import type { Images } from '../../src/runtime/images.ts';
import { type TestDatabase, useDatabase } from './database.ts';
import {
  createProgrammedImages,
  createProgrammedRuntime,
  type ProgrammedImages,
  type ProgrammedRuntime,
} from './programmedRuntime.ts';
import { type ServingGateway, startServingGateway } from './serviceGateways.ts';

/** What each test gets afresh. */
export interface BuildingGateways {
  readonly db: TestDatabase;
  readonly workers: ProgrammedRuntime;
  readonly engine: ProgrammedImages;
  readonly folder: string;
  open(options?: OpenOptions): Promise<ServingGateway>;
  /** Closes a gateway before the end of the test. */
  close(gateway: ServingGateway): Promise<void>;
}

interface OpenOptions {
  /** Replace operations of the engine. */
  readonly images?: Partial<Images> | undefined;
  readonly change?: ((database: Database) => Database) | undefined;
  readonly settings?: Record<string, string> | undefined;
}

/**
 * Makes a database, an engine and workers before each test, and closes them after it.
 * @param installed the packages that a worker on trial lists
 * @param onBegun called with them before each test
 */
export function useBuildingGateways(
  installed: readonly object[],
  onBegun: (made: BuildingGateways) => void,
): void {
  let opened: Set<ServingGateway>;
  let workers: ProgrammedRuntime;
  let folder: string;

  beforeEach(async () => {
    const db = await useDatabase(onTestFinished);
    const engine = createProgrammedImages();
    workers = createProgrammedRuntime();
    workers.printed = (code) => (code === TRIAL_CODE ? `2 ${JSON.stringify(installed)}\n` : null);
    folder = mkdtempSync(join(tmpdir(), 'ch-environments-'));
    opened = new Set();
    const open = async ({ images, change, settings }: OpenOptions = {}) => {
      const database = await db.open();
      const gateway = await startServingGateway({
        database: change ? change(database) : database,
        runtime: workers.runtime,
        socketDir: folder,
        images: { ...engine.images, ...images },
        settings: { WORKER_IMAGE: 'base', MIN_IDLE_WORKERS: '0', ...settings },
      });
      opened.add(gateway);
      return gateway;
    };
    const close = async (gateway: ServingGateway) => {
      opened.delete(gateway);
      await gateway.close();
    };
    onBegun({ db, workers, engine, folder, open, close });
  });

  afterEach(async () => {
    for (const gateway of opened) await gateway.close();
    await workers.close();
    rmSync(folder, { recursive: true });
  });
}
