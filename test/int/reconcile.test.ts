/** How a sweep treats workers that other gateways are making or have given up. The engine is real. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import type { PoolId, SessionId, WorkerId } from '../../src/domain/ids.ts';
import { createMessageCounts } from '../../src/domain/messageCounts.ts';
import type { Worker } from '../../src/domain/worker.ts';
import type { Database } from '../../src/events/database.ts';
import { endWorker, loss } from '../../src/pool/endWorker.ts';
import { createWorkerMaker } from '../../src/pool/supply/makeWorker.ts';
import {
  createOrphanAdoption,
  type ReconcileDeps,
  reconcile,
  reconcileWorker,
} from '../../src/pool/upkeep/reconcile.ts';
import { newId } from '../../src/process/newId.ts';
import { createDockerRuntime } from '../../src/runtime/docker/dockerRuntime.ts';
import { askEngine } from '../../src/runtime/docker/engineCalls.ts';
import { createHeldWorkers } from '../../src/worker/heldWorkers.ts';
import { DEFAULT_LANE } from '../../src/worker/lanes.ts';
import {
  commitOne,
  onWorker,
  POOL_ID,
  sessionOpened,
  workerRequested,
} from '../../testkit/events.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';

const ENGINE_LIMIT_MS = 30_000;
const logger = pino({ level: 'silent' });
const socketDir = mkdtempSync(join(tmpdir(), 'ch-reconcile-'));
const { dockerSocketPath: socketPath } = loadConfig({}, 0);
const { id: engineId } = await askEngine(socketPath, ENGINE_LIMIT_MS);
const db = await useDatabase();
const sweeper = await db.open();
let maker: Database;
let broughtUp: WorkerId[];
beforeEach(async () => {
  maker = await db.open();
  broughtUp = [];
});
afterAll(() => rmSync(socketDir, { recursive: true }));

/** The parts with which a gateway on this database ends workers. @param engineSocket where it looks for the engine */
function endingOf(database: Database, engineSocket = socketPath) {
  const now = () => new Date();
  const runtime = createDockerRuntime({
    engineId,
    socketPath: engineSocket,
    socketDir,
    ociRuntime: 'runc',
    logger,
  });
  const heldWorkers = createHeldWorkers({
    database,
    logger,
    messageCounts: createMessageCounts(),
    now,
    laneOf: () => DEFAULT_LANE,
    interruptGraceMs: 1_000,
    maxCommands: 16,
    followers: () => 0,
    egress: null,
    addressOf: (worker) => runtime.addressOf(worker),
    onSuspect: () => undefined,
    onOpen: () => undefined,
  });
  return {
    database,
    runtime,
    heldWorkers,
    now,
    poolId: POOL_ID satisfies PoolId,
    logger,
    onUnsettled: (_id: WorkerId, error: unknown) => {
      throw error;
    },
  };
}

function reconciling(engineSocket = socketPath): ReconcileDeps {
  return {
    ...endingOf(sweeper, engineSocket),
    isInTheMaking: () => false,
    bringUp: ({ id }) => broughtUp.push(id),
  };
}

function sweep(): Promise<void> {
  return reconcile(reconciling());
}

/** A worker that `maker` has requested. */
async function requested(): Promise<Worker> {
  const id = newId<WorkerId>();
  await maker.leases.acquireWorker(id);
  return await commitOne<'worker'>(maker.store, workerRequested(id));
}

/** A worker that was started, and whose container is gone by now. */
async function started(): Promise<Worker> {
  const at = new Date().toISOString();
  const containerId = 'f'.repeat(64);
  const data = { containerId, socketPath: join(socketDir, 'agent.sock'), at };
  const worker = await requested();
  return await commitOne<'worker'>(maker.store, onWorker(worker, { type: 'WorkerStarted', data }));
}

/** Some gateway records that the worker has ended, and that nothing of it is left. */
async function removed(worker: Worker): Promise<void> {
  const at = new Date().toISOString();
  const lost = { at, reason: 'exited', exitCode: 137, detail: null } as const;
  const events = [
    { type: 'WorkerLost', data: lost },
    { type: 'WorkerRemoved', data: { at } },
  ] as const;
  await commitOne<'worker'>(sweeper.store, onWorker(worker, ...events));
}

describe.each([
  ['requested', requested, { state: 'REMOVED', endReason: 'create-failed' }],
  ['started', started, { state: 'REMOVED', endReason: 'exited' }],
])('a worker that is %s', (_state, make, end) => {
  it('is left to its maker as long as the maker lives', async () => {
    const worker = await make();
    await sweep();
    expect(await sweeper.queries.worker(worker.id)).toEqual(worker);
    expect(broughtUp).toEqual([]);
    await maker.close();
  });

  it('is ended when its maker is gone and it has no container', async () => {
    const worker = await make();
    await maker.close();
    await sweep();
    expect(await sweeper.queries.worker(worker.id)).toMatchObject(end);
  });
});

it('a started worker whose maker is gone is brought up even if the engine is away', async () => {
  const worker = await started();
  await maker.close();
  await reconcileWorker(reconciling(join(socketDir, 'nobody.sock')), worker, null);
  expect(broughtUp).toEqual([worker.id]);
  expect(await sweeper.queries.worker(worker.id)).toEqual(worker);
  await sweeper.leases.releaseWorker(worker.id);
});

it('the maker releases the lease of a worker that another gateway ended while it was made', async () => {
  const worker = await started();
  await removed(worker);
  const config = loadConfig({ SOCKET_DIR: socketDir });
  const making = createWorkerMaker({ ...endingOf(maker), config, workerImage: 'none', newId });
  await making.fail(worker, new Error('Its container ended while it started.'));
  expect(maker.leases.isHeld(`worker-${worker.id}`)).toBe(false);
  expect(await sweeper.leases.acquireWorker(worker.id)).not.toBeNull();
  await sweeper.leases.releaseWorker(worker.id);
  await maker.close();
});

it('a sweep keeps no lease of a worker that another gateway has removed since the sweep read it', async () => {
  const worker = await started();
  await removed(worker);
  await maker.close();
  await reconcileWorker(reconciling(), worker, null);
  expect(sweeper.leases.isHeld(`worker-${worker.id}`)).toBe(false);
});

it('a gateway that could not end a worker keeps no lease of it when another has removed it', async () => {
  const worker = await started();
  await maker.leases.releaseWorker(worker.id);
  await sweeper.leases.acquireWorker(worker.id);
  const { heldWorkers } = endingOf(sweeper);
  sweeper.wakeUps.onEvent((event) => heldWorkers.apply(event));
  await removed(worker);
  await until('the lease is released', async () => !sweeper.leases.isHeld(`worker-${worker.id}`));
  await maker.close();
});

it('a worker that serves a session keeps the session when another gateway gives the worker up', async () => {
  const sessionId = newId<SessionId>();
  const at = new Date().toISOString();
  const worker = await commitOne<'worker'>(
    maker.store,
    onWorker(
      await started(),
      { type: 'WorkerReady', data: { readyMs: 1, at } },
      { type: 'WorkerAssigned', data: { sessionId, at } },
    ),
  );
  const opened = sessionOpened({ userUuid: sessionId, workerId: worker.id, sessionId });
  const session = await commitOne<'session'>(maker.store, opened);
  const gaveUp = loss('create-failed', 'Its maker ended.', null);
  expect(await endWorker(endingOf(sweeper), worker, gaveUp)).toBeNull();
  expect(await sweeper.queries.worker(worker.id)).toEqual(worker);
  expect(await sweeper.queries.openSessionOfWorker(worker.id)).toEqual(session);
  await maker.close();
});

describe('an idle worker whose gateway has ended', () => {
  const container = { containerId: 'f'.repeat(64), isRunning: true };
  const asIdle = async () => {
    const at = new Date().toISOString();
    const ready = onWorker(await started(), { type: 'WorkerReady', data: { readyMs: 1, at } });
    const worker = await commitOne<'worker'>(maker.store, ready);
    await maker.close();
    return worker;
  };
  const under = (name: string, deps = reconciling()): ReconcileDeps => ({
    ...deps,
    runtime: { ...deps.runtime, name },
  });
  const swept = async (deps: ReconcileDeps) => {
    const worker = await asIdle();
    await reconcileWorker(deps, worker, { ...container, workerId: worker.id });
    const now = await sweeper.queries.worker(worker.id);
    await deps.heldWorkers.close(0);
    return now;
  };

  it('is kept if it runs under DOCKER_RUNTIME', async () => {
    expect(await swept(reconciling())).toMatchObject({ state: 'IDLE' });
  });

  it('ends if it does not, so that nobody gets it', async () => {
    const end = { state: 'REMOVED', endReason: 'recycled' };
    expect(await swept(under('docker/runsc'))).toMatchObject(end);
  });

  it('is not ended while another gateway acts for it', async () => {
    const other = await db.open();
    const worker = await asIdle();
    await other.leases.acquireWorker(worker.id);
    await reconcileWorker(under('docker/runsc'), worker, { ...container, workerId: worker.id });
    expect(await sweeper.queries.worker(worker.id)).toEqual(worker);
    await other.close();
  });

  it('ends also if it is found by the look for orphans', async () => {
    const worker = await asIdle();
    const deps = under('docker/runsc');
    const background: Promise<void>[] = [];
    const adopt = createOrphanAdoption({
      ...deps,
      inBackground: (work) => void background.push(work),
      reconcile: (each) => reconcileWorker(deps, each, { ...container, workerId: each.id }),
    });
    await adopt();
    await Promise.all(background);
    expect(await sweeper.queries.worker(worker.id)).toMatchObject({ endReason: 'recycled' });
    await deps.heldWorkers.close(0);
  });
});
