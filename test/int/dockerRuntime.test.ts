/** Docker's runtime makes a worker with its socket folder, and later removes both completely. The engine is real. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import type { PoolId, WorkerId } from '../../src/domain/ids.ts';
import { evolveWorker, type Worker, type WorkerEvent } from '../../src/domain/worker.ts';
import { newId } from '../../src/process/newId.ts';
import { createDockerRuntime } from '../../src/runtime/docker/dockerRuntime.ts';
import { askEngine } from '../../src/runtime/docker/engineCalls.ts';
import { workerImage } from '../../testkit/workerImage.ts';

const socketDir = mkdtempSync(join(tmpdir(), 'ch-runtime-'));
const { dockerSocketPath: socketPath } = loadConfig({}, 0);
const logger = pino({ level: 'silent' });
const START_TIMEOUT_MS = 60_000;
const { id: engineId } = await askEngine(socketPath, START_TIMEOUT_MS);
const runtime = createDockerRuntime({
  engineId,
  socketPath,
  socketDir,
  ociRuntime: 'runc',
  logger,
});
afterAll(() => rmSync(socketDir, { recursive: true }));

function nextWorker() {
  const [workerId, poolId] = [newId<WorkerId>(), newId<PoolId>()];
  const limits = { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 };
  return { workerId, poolId, name: `cellhouse-test-${workerId}`, limits, environment: {} };
}

/** The worker as a gateway reads it from the database. */
function recorded(spec: ReturnType<typeof nextWorker>, ...more: WorkerEvent[]): Worker {
  const at = new Date().toISOString();
  const { environment: _, ...rest } = spec;
  const data = { ...rest, imageId: 'i', runtime: runtime.name, at };
  const requested = evolveWorker(null, { type: 'WorkerRequested', data });
  return more.reduce<Worker>(evolveWorker, requested);
}

it('a worker has an address that opens, and its removal leaves nothing and may be repeated', async () => {
  const WORKER_IMAGE = workerImage();
  const spec = nextWorker();
  const imageId = await runtime.imageId(WORKER_IMAGE);
  const { containerId, location } = await runtime.create({ ...spec, imageId });
  const parts = { ...spec, containerId };
  try {
    const at = new Date().toISOString();
    const data = { containerId, socketPath: location, at };
    const address = runtime.addressOf(recorded(spec, { type: 'WorkerStarted', data }));
    await address?.untilOpen(AbortSignal.timeout(START_TIMEOUT_MS));
    const stream = address?.open();
    if (!stream) throw new Error('It has no address.');
    // The stream is not half-closed after the request, because the agent gives up a caller that closes before the
    // answer.
    stream.write('GET /health HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n');
    expect(Buffer.concat(await stream.toArray()).toString()).toContain('"status": "ok"');
    // No other user of this machine can enter the pool's folder.
    expect(statSync(dirname(dirname(location))).mode & 0o777).toBe(0o700);
    await runtime.remove(parts);
    expect(await runtime.inspect(containerId)).toBeNull();
    expect(existsSync(dirname(location))).toBe(false);
    const closed = address?.open();
    await expect(closed && once(closed, 'connect')).rejects.toThrow('ENOENT');
  } finally {
    await runtime.remove(parts);
  }
});

it('a worker that could not be made leaves nothing, and has no address', async () => {
  const spec = nextWorker();
  const imageId = 'sha256:'.padEnd(71, '0');
  await expect(runtime.create({ ...spec, imageId })).rejects.toThrow();
  const [poolFolder = ''] = readdirSync(socketDir).filter(
    (name) => name === spec.poolId.replaceAll('-', ''),
  );
  expect(readdirSync(join(socketDir, poolFolder))).toEqual([]);
  expect(runtime.addressOf(recorded(spec))).toBeNull();
  await runtime.remove({ ...spec, containerId: null });
  await runtime.remove({ ...spec, workerId: null, containerId: 'f'.repeat(64) });
});
