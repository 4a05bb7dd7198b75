/** Workers of environments, over two gateways on one database. The workers are programmed. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Environment } from '../../src/domain/environment.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Worker } from '../../src/domain/worker.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { beginEnvironment, builtEnvironment, removeEnvironment } from '../support/environments.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const MAX_WORKERS = 4;
const SETTINGS = {
  MIN_IDLE_WORKERS: '2',
  MIN_IDLE_ENVIRONMENT_WORKERS: '1',
  MAX_TOTAL_WORKERS: String(MAX_WORKERS),
};
/** How long a user keeps a session. */
const HOLD_MS = 200;
/** After this time, even on a busy machine, each gateway knows which calls wait at the other. */
const KNOWN_MS = 500;
/** How long to wait until the pool no longer changes. */
const SETTLED = { timeout: 60_000 };

const { db, workers, start } = await useServiceGateways(SETTINGS);
/** A third gateway makes and removes environments, so that the two others get these events from the database. */
const third = await db.open();
const gateways = [await start(), await start()] as const;
const [first, second] = gateways;
const OPERATOR = AUTH_TOKEN_HOLDER;

afterEach(async () => {
  const open = await db.queries.openSessions();
  await Promise.all(open.map(({ userUuid }) => first.service.release(OPERATOR, userUuid)));
  const all = await db.queries.environments();
  await Promise.all(all.map((each) => removeEnvironment(third, each)));
  await db.sql`DELETE FROM environment_uses`;
  await until('only plain workers are left', async () => {
    const { totalWorkers, idleWorkers, environments } = await first.pool.status();
    return environments.length === 0 && idleWorkers === 2 && totalWorkers === 2;
  });
});

let users = 0;
/** A new user for each call. */
const someone = () => {
  users += 1;
  return `user-${users}`;
};
const open = (environment: string | null, { service } = first, userUuid = someone()) =>
  service.openSession(OPERATOR, { userUuid, environment });
const workerOf = async ({ workerId }: Session): Promise<Worker> => {
  const worker = await db.queries.worker(workerId);
  if (worker === null) throw new Error('The session has no worker.');
  return worker;
};
const idleOf = async (environment: Environment | null) => {
  const idle = await db.queries.workersInStates(first.pool.id, ['IDLE']);
  return idle.filter(({ environmentId }) => environmentId === (environment?.id ?? null));
};

describe('a session in an environment', () => {
  it('gets a worker of the newest version that is ready, and a session in no environment gets a plain worker', async () => {
    const science = await builtEnvironment(third, 'science');
    await beginEnvironment(third, 'science');
    const [one, plain] = await Promise.all([open('science'), open(null, second)]);
    expect(await workerOf(one)).toMatchObject({
      environmentId: science.id,
      imageId: science.imageId,
    });
    expect((await workerOf(plain)).environmentId).toBeNull();
    expect(one).toMatchObject({ environment: 'science', hasOptions: true });
    expect(plain).toMatchObject({ environment: null, hasOptions: false });
  });

  it('is refused if the environment does not exist, or has no version that is ready', async () => {
    await beginEnvironment(third, 'early');
    const former = await builtEnvironment(third, 'former');
    await removeEnvironment(third, former);
    for (const name of ['nowhere', 'former', 'Not A Name'])
      await expect(open(name)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(open('early')).rejects.toMatchObject({
      code: 'ENVIRONMENT_NOT_READY',
      message: expect.stringContaining('still being built'),
      details: { environment: 'early', retryAfterMs: expect.any(Number) },
    });
    await expect(open('x'.repeat(64))).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  it('is returned for the same options, and differs from a session in another environment', async () => {
    await builtEnvironment(third, 'science');
    const user = someone();
    const session = await open('science', first, user);
    expect((await open('science', second, user)).id).toBe(session.id);
    await expect(open(null, second, user)).rejects.toMatchObject({
      code: 'SESSION_OPTIONS_DIFFER',
      details: { options: ['environment'] },
    });
    const execution = await second.service.execute(OPERATOR, { userUuid: user, code: '1' });
    expect(execution).toMatchObject({ status: 'OK', sessionId: session.id });
  });

  it('keeps its version, while new sessions get the newest and idle workers of the former version end', async () => {
    const former = await builtEnvironment(third, 'science');
    const session = await open('science');
    await until('one is kept idle', async () => (await idleOf(former)).length === 1);
    const newest = await builtEnvironment(third, 'science');
    const next = await open('science', second);
    expect((await workerOf(next)).environmentId).toBe(newest.id);
    await until('no former one is idle', async () => (await idleOf(former)).length === 0);
    expect((await workerOf(session)).state).toBe('ASSIGNED');
  });

  it('is refused while it waits if its environment is removed', async () => {
    const science = await builtEnvironment(third, 'science');
    const held = await Promise.all(Array.from({ length: MAX_WORKERS }, () => open(null, second)));
    const waiting = open('science');
    const refused = expect(waiting).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await until('it waits', async () => (await first.pool.status()).waitingRequests === 1);
    await removeEnvironment(third, science);
    await refused;
    expect(held).toHaveLength(MAX_WORKERS);
  });
});

describe('workers of environments', () => {
  it('are kept idle while their environment is in use, and end an hour after the last request for it', async () => {
    const [hourly, art] = [
      await builtEnvironment(third, 'hourly'),
      await builtEnvironment(third, 'art'),
    ];
    const session = await open('hourly', second);
    await until('one is idle', async () => (await idleOf(hourly)).length === 1);
    expect(await idleOf(art)).toEqual([]);
    await first.service.release(OPERATOR, session.userUuid);
    // Longer than a round of upkeep, which must keep the worker: its environment was requested just now.
    await pause(700);
    expect(await idleOf(hourly)).toHaveLength(1);
    await db.sql`UPDATE environment_uses SET asked_at = now() - interval '61 minutes'`;
    await until('none is idle', async () => (await idleOf(hourly)).length === 0);
  });

  it('are made in the place of idle ones of another environment when the pool is full', async () => {
    const science = await builtEnvironment(third, 'science');
    // Together with the idle workers, these fill the pool.
    const plain = await Promise.all([open(null), open(null, second)]);
    await until('it is full', async () => (await first.pool.status()).idleWorkers === 2);
    const before = await db.queries.workersInStates(first.pool.id, ['IDLE']);
    const sessions = await Promise.all([open('science'), open('science', second)]);
    for (const session of sessions)
      expect((await workerOf(session)).environmentId).toBe(science.id);
    expect((await first.pool.status()).totalWorkers).toBe(MAX_WORKERS);
    for (const { id } of before)
      expect(await db.queries.worker(id)).toMatchObject({ endReason: 'recycled' });
    for (const session of plain) expect((await workerOf(session)).state).toBe('ASSIGNED');
  });
});

describe('an environment whose workers cannot be started', () => {
  it('delays no other call, takes no worker from it, and is reported only to calls that wait for this environment', async () => {
    const broken = await builtEnvironment(third, 'broken');
    workers.brokenImages.push(broken.imageId ?? '');
    const call = first.service.openSession(OPERATOR, {
      userUuid: someone(),
      environment: 'broken',
      waitForWorkerMs: 2_000,
    });
    const refused = expect(call).rejects.toMatchObject({
      code: 'WORKER_START_FAILED',
      message: expect.stringContaining('The last worker could not be started.'),
    });
    await until('one has failed', async () => {
      const lost = await db.queries.workersInStates(first.pool.id, ['LOST', 'REMOVED']);
      return lost.some(({ environmentId }) => environmentId === broken.id);
    });
    // More sessions than idle workers, so that plain workers are made while the environment fails.
    const others = await Promise.all(Array.from({ length: MAX_WORKERS }, () => open(null)));
    expect(others).toHaveLength(MAX_WORKERS);
    await refused;
    expect(first.pool.degradation).toBeNull();
    workers.brokenImages.length = 0;
  });
});

describe('two environments at MAX_TOTAL_WORKERS, at two gateways', () => {
  it('serve every user in turn, and the counts are those of the events', async () => {
    const environments = [
      null,
      await builtEnvironment(third, 'science'),
      await builtEnvironment(third, 'art'),
    ];
    const from = new Date();
    const waits: { readonly asked: number; readonly got: number }[] = [];
    const client = async (index: number) => {
      const environment = environments[index % 3] ?? null;
      const gateway = gateways[index % 2] ?? first;
      for (let round = 0; round < 3; round += 1) {
        const asked = performance.now();
        const session = await open(environment?.name ?? null, gateway);
        waits.push({ asked, got: performance.now() });
        expect((await workerOf(session)).environmentId).toBe(environment?.id ?? null);
        await pause(HOLD_MS);
        await gateway.service.release(OPERATOR, session.userUuid);
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, index) => client(index)));
    // Calls that came much later are served later, unless their workers were ready before those of earlier calls.
    for (const { asked, got } of waits) {
      const overtaking = waits.filter((other) => other.asked > asked + KNOWN_MS && other.got < got);
      expect(overtaking.length).toBeLessThanOrEqual(MAX_WORKERS);
    }
    expect(await mostAtOnce(from)).toBeLessThanOrEqual(MAX_WORKERS);
    // Workers go on starting after the last call, perhaps between the two answers that are compared.
    await vi.waitFor(async () => {
      const { totalWorkers, idleWorkers, busyWorkers, startingWorkers, environments } =
        await first.pool.status();
      const counts = { totalWorkers, idleWorkers, busyWorkers, startingWorkers };
      expect(await second.service.poolAt(OPERATOR, new Date())).toMatchObject({
        ...counts,
        environments: expect.arrayContaining([...environments]),
      });
      const ofEnvironments = environments.reduce((total, each) => total + each.totalWorkers, 0);
      expect(ofEnvironments).toBeLessThanOrEqual(totalWorkers);
    }, SETTLED);
  });
});

/**
 * The highest number of workers that existed at a time since `from`, according to their events. Commits that come at
 * the same time share a transaction, in which one worker may be requested before another is retired. So the number is
 * taken only at the end of a transaction.
 */
async function mostAtOnce(from: Date): Promise<number> {
  const [row] = await db.sql<{ most: number }[]>`
    SELECT coalesce(max(total), 0)::int AS most FROM (
      SELECT recorded_at, position = max(position) OVER (PARTITION BY xmin::text) AS is_end,
        sum(CASE type WHEN 'WorkerRequested' THEN 1 ELSE -1 END) OVER (ORDER BY position) AS total
      FROM events WHERE type IN ('WorkerRequested', 'WorkerRetired', 'WorkerLost')
    ) counted WHERE is_end AND recorded_at >= ${from}`;
  return row?.most ?? 0;
}
