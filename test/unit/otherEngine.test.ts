/** Another engine that answers in place of the pool's own, and an engine that never answers. The engine is scripted. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { PoolId, WorkerId } from '../../src/domain/ids.ts';
import { createDockerRuntime } from '../../src/runtime/docker/dockerRuntime.ts';
import { askEngine } from '../../src/runtime/docker/engineCalls.ts';
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
const ANSWERS: Readonly<Record<string, string>> = {
  '/containers/json': '[]',
  '/containers/create': '{"Id":"made"}',
};
const GONE = '{"message":"No such container"}';
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
  /** Runs before the answer to a request, except those that ask for the engine's id. */
  meanwhile: (asked: string) => Promise<void>;
  /** `METHOD /path` of all requests, except those that ask for the engine's id. */
  readonly asked: string[];
  /** Ends the event streams only. */
  endEvents(): void;
  /** Ends every connection, as a stopping engine does. New connections are accepted at once. */
  hangUp(): void;
}

/** Starts an engine that makes a container `made`, lists none and reports no events. */
async function startEngine(socketPath: string): Promise<ScriptedEngine> {
  const events: ServerResponse[] = [];
  const scripted: ScriptedEngine = {
    socketPath,
    id: 'own',
    meanwhile: async () => {},
    asked: [],
    endEvents: () => {
      for (const stream of events.splice(0)) stream.end();
    },
    hangUp: () => server.closeAllConnections(),
  };
  const server: Server = createServer(async (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    response.setHeader('Content-Type', 'application/json');
    if (path === '/info' && scripted.id === null) return;
    if (path === '/info') {
      response.end(JSON.stringify({ ID: scripted.id, LiveRestoreEnabled: true, Runtimes: {} }));
      return;
    }
    const asked = `${request.method} ${path}`;
    scripted.asked.push(asked);
    await scripted.meanwhile(asked);
    if (path === '/events') {
      events.push(response);
      response.flushHeaders();
    } else response.writeHead(path in ANSWERS ? 200 : 404).end(ANSWERS[path] ?? GONE);
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

describe("another engine that takes the own engine's place during a call", () => {
  beforeEach(async () => {
    let [isWatched, isAway] = [false, false];
    const watch = runtime.watch(POOL_ID, {
      onEnd: () => {},
      onAway: () => {
        isAway = true;
      },
      onBack: () => {
        isWatched = true;
      },
    });
    onTestFinished(() => watch.close());
    await until('the own engine is watched', async () => isWatched);
    engine.asked.length = 0;
    engine.meanwhile = async () => {
      engine.meanwhile = async () => {};
      engine.id = 'other';
      engine.endEvents();
      await until('its end is noticed', async () => isAway);
    };
  });

  it.each<[string, () => Promise<unknown>]>([
    ['there are no containers', () => runtime.list(POOL_ID)],
    ['a container is gone', () => runtime.inspect('container')],
    ['one is removed', () => runtime.remove({ ...SPEC, containerId: 'container' })],
    ['an image is missing', () => runtime.imageId('image')],
  ])('is not believed when it answers that %s', async (_what, call) => {
    await expect(call()).rejects.toMatchObject({ kind: 'other-engine' });
  });

  it('does not keep the container that it has made', async () => {
    await expect(runtime.create(SPEC)).rejects.toMatchObject({ kind: 'other-engine' });
    expect(engine.asked).toEqual(['POST /containers/create', 'DELETE /containers/made']);
  });
});

it('an engine that accepts connections and never answers counts as away', async () => {
  engine.id = null;
  await expect(askEngine(engine.socketPath, 200)).rejects.toMatchObject({ kind: 'engine-away' });
});
