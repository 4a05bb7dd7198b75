/**
 * The Docker engine is away under load. Sessions and running code go on, new users wait or are refused, and everything
 * heals by itself when the engine is back. The test has its own engine.
 */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, follow, poolStatus, release, submit } from '../../testkit/interpreter.ts';
import { createOwnEngine, type OwnEngine } from '../../testkit/ownEngine.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { EXTENT } from '../extent.ts';
import {
  degradation,
  endOf,
  expectDegraded,
  expectServedOrTold,
  expectWhole,
  type Outage,
  refusal,
  startOutageLoad,
} from '../support/outageLoad.ts';

/** Long enough for the gateway to do all that it does during an outage. A whole minute would test nothing more. */
const OUTAGE_MS = Number(process.env.CELLHOUSE_OUTAGE_MS ?? 8_000);
const BEFORE_MS = 2_000;
const AFTER_MS = 3_000;
const TIMEOUT_MS = OUTAGE_MS + 120_000;
/** The time from the engine's first answer until the pool is full again, while nobody calls. */
const HEAL_LIMIT_MS = 30_000;

const LINES = 100;
/** Code that prints for some ten seconds, which is longer than a gateway takes to start. */
const PRINTS_FOR_A_WHILE = `import time\nfor i in range(${LINES}):\n    print('line', i)\n    time.sleep(0.1)`;
const PRINTED = Array.from({ length: LINES }, (_, index) => `line ${index}\n`).join('');

const MAX_TOTAL_WORKERS = 8;
const START = new URL('../../scripts/start.mjs', import.meta.url).pathname;
const MACHINE_SOCKET = loadConfig({}, 0).dockerSocketPath;
const folder = mkdtempSync(join(tmpdir(), 'ch-outage-'));
/** The path at which the gateway expects its engine's socket: a symbolic link, so the test can change the engine. */
const socket = join(folder, 'docker.sock');
let engine: OwnEngine;
let gateway: TestGateway;

/** Only root can start an engine, and `npm test` installs one only as root. */
describe.runIf(process.getuid?.() === 0)('an engine that is away', () => {
  beforeAll(async () => {
    engine = await createOwnEngine();
    await engine.load(workerImage());
    await engine.start();
    answersAt(engine.places.socket);
    gateway = await startTestGateway(
      { DOCKER_HOST: `unix://${socket}`, MAX_TOTAL_WORKERS: `${MAX_TOTAL_WORKERS}` },
      // The steps of npm start before the gateway must also work without an engine.
      { cli: START, workerImage: workerImage() },
    );
  });
  afterAll(async () => {
    await gateway.destroy();
    await engine.destroy();
    rmSync(folder, { recursive: true });
  });

  it(
    'an engine with live-restore that is killed with -9 and comes back costs no session and no output',
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
    'sessions can be released while the engine is away; their containers are removed when it is back',
    async () => {
      await execute(gateway, 'leaving', '1');
      await engine.kill('SIGKILL');
      expect(await release(gateway, 'leaving')).toBe(true);
      await engine.start();
      await untilNoneIsLeft();
    },
    TIMEOUT_MS,
  );

  it(
    'an engine that is still away when a gateway starts costs no session and no output',
    async () => {
      await execute(gateway, 'early', 'n = 41');
      const { id } = await submit(gateway, 'printing', PRINTS_FOR_A_WHILE, {
        timeoutMs: 60_000,
      });
      await gateway.kill('SIGKILL');
      await engine.kill('SIGKILL');
      const down = await runCli(['down'], gateway.env);
      expect([down.code, down.output]).toEqual([1, expect.stringContaining('does not answer')]);
      await gateway.restart();
      await expectDegraded(gateway, 'engine does not answer');
      expect(await degradation(gateway)).toBe('ENGINE_AWAY');
      const live = await execute(gateway, 'early', 'n + 1');
      expect(live).toMatchObject({ resultText: '42', stateLost: false });
      const outputs = await follow(gateway.socket(), id);
      expect(outputs.map(({ text }) => text ?? '').join('')).toBe(PRINTED);
      expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });
      const users = await untilRefused('new');
      await engine.start();
      expect(await execute(gateway, 'late', '1 + 1')).toMatchObject({ resultText: '2' });
      expect(await degradation(gateway)).toBe(null);
      expect(await execute(gateway, 'early', 'n')).toMatchObject({ stateLost: false });
      for (const user of ['early', 'printing', ...users, 'late']) await release(gateway, user);
      await untilNoneIsLeft();
    },
    TIMEOUT_MS,
  );

  it(
    'another engine that answers in place of the first costs no session, and is left alone',
    async () => {
      await execute(gateway, 'kept', 'n = 1');
      await execute(gateway, 'leaving', '1');
      const [container] = await engine.docker.listContainers();
      const pool = `cellhouse.pool=${container?.Labels['cellhouse.pool']}`;
      await engine.kill('SIGKILL');
      answersAt(MACHINE_SOCKET);
      await untilTold('OTHER_ENGINE');
      await expectDegraded(gateway, 'another Docker engine answers');
      expect(gateway.log()).toContain('workers are on the Docker engine');
      expect(await release(gateway, 'leaving')).toBe(true);
      const users = await untilRefused('other');
      expect(await execute(gateway, 'kept', 'n')).toMatchObject({ resultText: '1' });
      const other = new Docker({ socketPath: MACHINE_SOCKET });
      // A worker that was being made when the engines changed is removed again.
      await until('the other engine has no worker', async () => {
        const made = await other.listContainers({ all: true, filters: { label: [pool] } });
        return made.length === 0;
      });
      await gateway.kill('SIGKILL');
      await expect(gateway.restart()).rejects.toThrow('workers are on the Docker engine');
      answersAt(engine.places.socket);
      await engine.start();
      await gateway.restart();
      const kept = await execute(gateway, 'kept', 'n');
      expect(kept).toMatchObject({ resultText: '1', stateLost: false });
      for (const user of ['kept', ...users]) await release(gateway, user);
      await untilNoneIsLeft();
    },
    TIMEOUT_MS,
  );

  it.each([...EXTENT.engineEndsBy])(
    'an engine without live-restore ends all sessions (%s), and they say so',
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
        expect(await endOf(gateway, user)).toEqual(['WORKER_LOST', 'ENGINE_RESTARTED']);
      for (const user of users) {
        expect(await execute(gateway, user, '1')).toMatchObject({ status: 'OK', stateLost: true });
      }
    },
    TIMEOUT_MS,
  );
});

/**
 * Takes the engine away for a time, and expects the outage to be reported just as long. Resolves when the engine is
 * back and a new user has been served.
 */
async function awayFor(
  ms: number,
  signal: 'SIGTERM' | 'SIGKILL',
  liveRestore: boolean,
): Promise<Outage> {
  const from = performance.now();
  await engine.kill(signal);
  await Promise.all([untilTold('ENGINE_AWAY'), delay(ms)]);
  await expectDegraded(gateway, 'engine does not answer');
  await engine.start(liveRestore);
  const to = performance.now();
  const first = await execute(gateway, `after-${to}`, '1 + 1');
  expect(first).toMatchObject({ status: 'OK', resultText: '2' });
  expect(await degradation(gateway)).toBe(null);
  await release(gateway, `after-${to}`);
  return { from, to };
}

function untilTold(reason: string | null): Promise<boolean> {
  return until(`${reason} is told`, async () => (await degradation(gateway)) === reason);
}

/** Resolves when containers left over from the outage are gone. */
function untilNoneIsLeft(): Promise<boolean> {
  return until('no container more than workers', async () => {
    const containers = await engine.docker.listContainers({ all: true });
    return containers.length === (await poolStatus(gateway)).totalWorkers;
  });
}

function answersAt(path: string): void {
  rmSync(socket, { force: true });
  symlinkSync(path, socket);
}

/**
 * Calls as one new user after the other, until a call is refused because no worker can be made. The first users get the
 * idle workers, whose number depends on the instant of the outage. Resolves with the users.
 */
async function untilRefused(name: string): Promise<string[]> {
  const users: string[] = [];
  const seen: unknown[] = [];
  while (seen.length <= MAX_TOTAL_WORKERS && seen.at(-1) !== 'WORKER_START_FAILED') {
    users.push(`${name}-${seen.length}`);
    seen.push(await refusal(gateway, users.at(-1) ?? ''));
  }
  expect(seen.at(-1), seen.join()).toBe('WORKER_START_FAILED');
  return users;
}

async function isFull(): Promise<boolean> {
  return (await poolStatus(gateway)).idleWorkers === 2;
}
