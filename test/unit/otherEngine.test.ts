/** Another engine that answers in place of the pool's own, and an engine that never answers. The engine is scripted. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { PoolId, WorkerId } from '../../src/domain/ids.ts';
import { askEngine } from '../../src/runtime/docker/askEngine.ts';
import { createDockerRuntime } from '../../src/runtime/docker/dockerRuntime.ts';
import { type Runtime, RuntimeError } from '../../src/runtime/runtime.ts';
import { until } from '../../testkit/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'ch-other-'));
const POOL_ID = 'pool' as PoolId;
const SPEC = {
  workerId: 'worker' as WorkerId,
  poolId: POOL_ID,
  name: 'cellhouse-worker',
  imageId: 'image',
  limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
  environment: {},
};
let engine: ScriptedEngine;
let runtime: Runtime;
let started = 0;
beforeEach(async () => {
  started += 1;
  // Each test has its own socket, since Node keeps connections to the former one.
  engine = await startEngine(join(folder, `${started}.docker.sock`));
  runtime = createDockerRuntime({
    engineId: 'own',
    socketPath: engine.socketPath,
    socketDir: folder,
    ociRuntime: 'runc',
    logger: pino({ level: 'silent' }),
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

interface ScriptedEngine {
  readonly socketPath: string;
  /** The engine that answers from now on. Null: connections are accepted and never answered. */
  id: string | null;
  /** `METHOD /path` of all requests, except those that ask for the engine's id. */
  readonly asked: string[];
  /** Ends every connection, as a stopping engine does. New connections are accepted at once. */
  hangUp(): void;
}

/** Starts an engine that has no containers and reports no events. */
async function startEngine(socketPath: string): Promise<ScriptedEngine> {
  const scripted: ScriptedEngine = {
    socketPath,
    id: 'own',
    asked: [],
    hangUp: () => server.closeAllConnections(),
  };
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (path !== '/info') scripted.asked.push(`${request.method} ${path}`);
    response.setHeader('Content-Type', 'application/json');
    if (path === '/info' && scripted.id === null) return;
    if (path === '/info') {
      response.end(JSON.stringify({ ID: scripted.id, LiveRestoreEnabled: true, Runtimes: {} }));
    } else if (path === '/events') {
      response.flushHeaders();
    } else {
      response.statusCode = path === '/containers/json' ? 200 : 404;
      response.end(response.statusCode === 200 ? '[]' : '{"message":"No such container"}');
    }
  });
  await once(server.listen(socketPath), 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return scripted;
}

describe('another engine that answers', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['what containers there are', () => runtime.list(POOL_ID)],
    ['whether a container is gone', () => runtime.inspect('container')],
    ['to remove one', () => runtime.remove({ ...SPEC, containerId: 'container' })],
    ['for an image', () => runtime.imageId('image')],
    ['to make a container', () => runtime.create(SPEC)],
    ['to give a container less CPU', () => runtime.setCpuShare('container', 'yielding')],
  ])('is not asked %s', async (_what, call) => {
    engine.id = 'other';
    const refusal = await call().catch((error: unknown) => error);
    expect(refusal).toMatchObject({ kind: 'other-engine' });
    expect(refusal).toMatchObject({
      message: expect.stringMatching(/are on the Docker engine own; .*docker\.sock is other\./),
    });
    expect(engine.asked).toEqual([]);
  });

  it('another engine is reported as such rather than as away, until the own engine is back', async () => {
    const told: string[] = [];
    const watch = runtime.watch(POOL_ID, {
      onEnd: () => told.push('end'),
      onAway: (error) => told.push(error instanceof RuntimeError ? error.kind : 'unknown'),
      onBack: () => told.push('back'),
    });
    onTestFinished(() => watch.close());
    await until('the own engine is watched', async () => told.includes('back'));
    expect(await runtime.inspect('container')).toBeNull();
    engine.id = 'other';
    engine.hangUp();
    await until('the other is told of', async () => told.includes('other-engine'));
    const asked = [...engine.asked];
    await expect(runtime.list(POOL_ID)).rejects.toMatchObject({ kind: 'other-engine' });
    expect(engine.asked).toEqual(asked);
    engine.id = 'own';
    await until('it is back', async () => told.at(-1) === 'back');
    expect(told).toEqual(['back', 'engine-away', 'other-engine', 'back']);
    expect(await runtime.list(POOL_ID)).toEqual([]);
  });
});

it('an engine that accepts connections and never answers counts as away', async () => {
  engine.id = null;
  await expect(askEngine(engine.socketPath, 200)).rejects.toMatchObject({ kind: 'engine-away' });
});
