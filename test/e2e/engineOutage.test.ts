/**
 * The Docker engine is away, under load: sessions and running code go on, new users wait or are told, and all heals by itself
 * when it is back. The engine is one of this test's own.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, follow, poolStatus } from '../../testkit/interpreter.ts';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { until } from '../../testkit/until.ts';
import { EXTENT } from '../extent.ts';
import { type Call, NEWCOMER_WAIT_MS, startOutageLoad } from '../support/outageLoad.ts';

/** Long enough for every limit below to pass. A minute takes the same ways, and CI has better uses for it. */
const OUTAGE_MS = Number(process.env.CELLHOUSE_OUTAGE_MS ?? 8_000);
const BEFORE_MS = 2_000;
const AFTER_MS = 3_000;
const TIMEOUT_MS = OUTAGE_MS + 120_000;
/** Nothing of a call in a session goes through the engine; a machine that is busy with other things may take this long. */
const LIVE_CALL_LIMIT_MS = 4_000;
/** Beyond the limit that a newcomer names, for the same reason. */
const ANSWER_ALLOWANCE_MS = 3_000;
/** From the engine's answer to a full pool, when nobody asks for more. */
const HEAL_LIMIT_MS = 30_000;

let engine: OwnEngine;
let gateway: TestGateway;

/** Root alone can start an engine; `npm test` installs one as root only, too. */
describe.runIf(process.getuid?.() === 0)('an engine that is away', () => {
  beforeAll(async () => {
    engine = await createOwnEngine();
    await engine.start();
    await engine.load(process.env.WORKER_IMAGE ?? '');
    gateway = await startTestGateway({ DOCKER_HOST: engine.host, MAX_TOTAL_WORKERS: '8' });
  });
  afterAll(async () => {
    await gateway.destroy();
    await engine.destroy();
  });

  it(
    'with live-restore, killed with -9 and back after a while, costs no session and no output',
    async () => {
      const load = await startOutageLoad(gateway, BEFORE_MS + OUTAGE_MS + AFTER_MS);
      const outage = await strike().finally(() => load.stop());
      const { counting, newcomers, printed } = await load.stop();
      await until('the pool is full again', isFull, HEAL_LIMIT_MS);
      for (const calls of counting) expectWhole(calls);
      const outputs = await follow(gateway.socket(), load.printing);
      expect(outputs.map(({ text }) => text ?? '').join('')).toBe(printed);
      expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
      expectServedOrTold(newcomers, outage);
    },
    TIMEOUT_MS,
  );

  async function strike(): Promise<Outage> {
    await delay(BEFORE_MS);
    const outage = await awayFor(OUTAGE_MS, 'SIGKILL', true);
    await delay(AFTER_MS);
    return outage;
  }

  it(
    'lets sessions be released meanwhile; their containers go when it is back',
    async () => {
      await execute(gateway, 'leaving', '1');
      await engine.kill('SIGKILL');
      const { data, errors } = await gateway.graphql<{ release: { released: boolean } }>(
        'mutation { release(input: { userUuid: "leaving" }) { released } }',
      );
      expect([data?.release.released, errors]).toEqual([true, undefined]);
      await engine.start();
      await until('no container more than workers', async () => {
        const containers = await engine.docker.listContainers({ all: true });
        return containers.length === (await poolStatus(gateway)).totalWorkers;
      });
    },
    TIMEOUT_MS,
  );

  it.each([...EXTENT.engineEndsBy])(
    'without live-restore ends all sessions (%s), and they say so',
    async (signal) => {
      await awayFor(0, 'SIGTERM', false);
      await gateway.kill('SIGTERM');
      await gateway.restart();
      expect(gateway.log()).toContain('live-restore is off');
      const users = ['ann', 'bob'].map((name) => `${name}-${signal}`);
      for (const user of users) await execute(gateway, user, 'n = 1');
      const running = users.map((user) =>
        execute(gateway, user, 'import time\ntime.sleep(200)', { timeoutMs: 250_000 }),
      );
      await awayFor(OUTAGE_MS, signal, false);
      for (const ended of await Promise.all(running)) {
        expect(ended).toMatchObject({ status: 'WORKER_LOST', stateLost: true });
      }
      for (const user of users)
        expect(await endOf(user)).toEqual(['worker-lost', 'engine-restarted']);
      for (const user of users) {
        expect(await execute(gateway, user, '1')).toMatchObject({ status: 'OK', stateLost: true });
      }
    },
    TIMEOUT_MS,
  );
});

interface Outage {
  readonly from: number;
  readonly to: number;
}

/** Resolves when the engine is back and a new user has been served. It is told of while it is away, and not afterwards. */
async function awayFor(
  ms: number,
  signal: 'SIGTERM' | 'SIGKILL',
  liveRestore: boolean,
): Promise<Outage> {
  const from = performance.now();
  await engine.kill(signal);
  const told = until('the outage is told', async () => (await degradation()) === 'ENGINE_AWAY');
  await Promise.all([told, delay(ms)]);
  const ready = await fetch(`${gateway.url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: 'degraded', reasons: [expect.stringContaining('engine does not answer')] },
  ]);
  await engine.start(liveRestore);
  const to = performance.now();
  const first = await execute(gateway, `after-${to}`, '1 + 1');
  expect(first).toMatchObject({ status: 'OK', resultText: '2' });
  expect(await degradation()).toBe(null);
  await gateway.graphql(
    'mutation Leave($user: String!) { release(input: { userUuid: $user }) { released } }',
    { user: `after-${to}` },
  );
  return { from, to };
}

async function isFull(): Promise<boolean> {
  return (await poolStatus(gateway)).idleWorkers === 2;
}

async function degradation(): Promise<string | null> {
  const { data } = await gateway.graphql<{
    poolStatus: { degradation: { reason: string } | null };
  }>('{ poolStatus { degradation { reason } } }');
  return data?.poolStatus.degradation?.reason ?? null;
}

/** How the user's last session ended, and its worker. */
async function endOf(user: string): Promise<(string | undefined)[]> {
  const { data } = await gateway.graphql<{
    session: { closeReason: string; worker: { endReason: string } };
  }>(
    'query End($user: String!) { session(userUuid: $user) { closeReason worker { endReason } } }',
    {
      user,
    },
  );
  return [data?.session.closeReason, data?.session.worker.endReason];
}

/** Every call was served, at once, by the same kernel, and ran once. */
function expectWhole(calls: readonly Call[]): void {
  expect(calls.map(({ resultText }) => resultText)).toEqual(
    calls.map((_, index) => String(index + 1)),
  );
  expect(calls.filter(({ stateLost }) => stateLost)).toEqual([]);
  expect(Math.max(...calls.map(({ tookMs }) => tookMs))).toBeLessThan(LIVE_CALL_LIMIT_MS);
}

function expectServedOrTold(newcomers: readonly Call[], { from, to }: Outage): void {
  for (const { tookMs, code } of newcomers) {
    expect(tookMs).toBeLessThan(NEWCOMER_WAIT_MS + ANSWER_ALLOWANCE_MS);
    expect([null, 'WORKER_START_FAILED', 'POOL_EXHAUSTED']).toContain(code);
  }
  const meanwhile = newcomers.filter(
    ({ startedAt, tookMs }) => startedAt > from && startedAt + tookMs < to,
  );
  const told = meanwhile.flatMap(({ code }) => code ?? []);
  expect(told.length).toBeGreaterThan(0);
  expect(new Set(told)).toEqual(new Set(['WORKER_START_FAILED']));
}
