/**
 * Gateways on one database, in the process of the test, with real workers. So a test can call operations of the service
 * that neither GraphQL nor a door has.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll } from 'vitest';
import { askEngine } from '../../src/runtime/docker/askEngine.ts';
import { createDockerRuntime } from '../../src/runtime/docker/dockerRuntime.ts';
import { lightWorkerImage } from '../../testkit/workerImage.ts';
import { useDatabase } from './database.ts';
import { type ServingGateway, startServingGateway } from './servingGateway.ts';

const ENGINE_TIMEOUT_MS = 10_000;

/**
 * Starts gateways. After the tests of the file, the gateways are closed and their workers are removed.
 * @param count how many gateways
 */
export async function useRealService(
  count: 1 | 2,
  settings: Readonly<Record<string, string>> = {},
) {
  const image = lightWorkerImage();
  const dockerHost = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  const socketPath = dockerHost.replace(/^unix:\/\//, '');
  const db = await useDatabase();
  const socketDir = mkdtempSync(join(tmpdir(), 'ch-real-'));
  const { id: engineId } = await askEngine(socketPath, ENGINE_TIMEOUT_MS);
  const logger = pino({ level: 'silent' });
  const ociRuntime = process.env.DOCKER_RUNTIME ?? 'runc';
  const runtime = createDockerRuntime({ engineId, socketPath, socketDir, ociRuntime, logger });
  const own = { WORKER_IMAGE: image, MIN_IDLE_WORKERS: '0', ...settings };
  const gateways: ServingGateway[] = [];
  afterAll(async () => {
    for (const gateway of gateways) await gateway.close();
    const { poolId } = await db.queries.poolIdentity('here');
    for (const { containerId, workerId } of await runtime.list(poolId))
      await runtime.remove({ poolId, workerId, containerId });
    rmSync(socketDir, { recursive: true, force: true });
  });
  for (let n = 0; n < count; n += 1) {
    const database = await db.open();
    gateways.push(await startServingGateway({ database, runtime, socketDir, settings: own }));
  }
  return { db, gateways };
}
