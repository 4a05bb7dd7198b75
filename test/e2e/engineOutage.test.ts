/**
 * The Docker engine is away, under load: sessions and running code go on, new users wait or are told, and all heals by itself
 * when it is back. The engine is one of this test's own.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { execute, follow, poolStatus } from '../support/interpreter.ts';
import { NEWCOMER_WAIT_MS, startOutageLoad } from '../support/outageLoad.ts';
import { createOwnEngine, type OwnEngine } from '../support/ownEngine.ts';
import { until } from '../support/until.ts';

/** Long enough for every limit below to pass. A minute takes the same ways, and CI has better uses for it. */
const OUTAGE_MS = Number(process.env.CELLHOUSE_OUTAGE_MS ?? 8_000);
const BEFORE_MS = 2_000;
const AFTER_MS = 5_000;
const TIMEOUT_MS = OUTAGE_MS + 120_000;
/** Nothing of a call in a session goes through the engine; the machine is just busy. */
const LIVE_CALL_LIMIT_MS = 2_000;
/** Beyond the limit that a newcomer names. */
const ANSWER_ALLOWANCE_MS = 2_000;
/** From the engine's answer to a full pool. */
const HEAL_LIMIT_MS = 20_000;

/** Root alone can start an engine; `npm test` installs one as root only, too. */
describe.runIf(process.getuid?.() === 0)('an engine that is away', () => {
  let engine: OwnEngine;
  let gateway: TestGateway;
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
    'killed with -9 and back after a while, with live-restore, costs no session and no output',
    async () => {
      const load = await startOutageLoad(gateway, BEFORE_MS + OUTAGE_MS + AFTER_MS);
      await delay(BEFORE_MS);
      const awayFrom = performance.now();
      await engine.kill('SIGKILL');
      await delay(OUTAGE_MS);
      await engine.start();
      const awayTo = performance.now();
      await until(
        'the pool is full again',
        async () => (await poolStatus(gateway)).idleWorkers === 2,
        HEAL_LIMIT_MS,
      );
      await delay(AFTER_MS);
      const { counting, newcomers, printed } = await load.stop();

      for (const calls of counting) {
        expect(calls.map(({ resultText }) => resultText)).toEqual(
          calls.map((_, index) => String(index + 1)),
        );
        expect(calls.filter(({ stateLost }) => stateLost)).toEqual([]);
        expect(Math.max(...calls.map(({ tookMs }) => tookMs))).toBeLessThan(LIVE_CALL_LIMIT_MS);
      }
      const outputs = await follow(gateway.socket(), load.printing);
      expect(outputs.map(({ text }) => text ?? '').join('')).toBe(printed);
      expect(outputs.at(-1)).toMatchObject({ execution: { status: 'OK', stateLost: false } });

      const told = newcomers.filter(({ code }) => code !== null);
      expect(told.length).toBeGreaterThan(0);
      for (const { code, tookMs, startedAt } of newcomers) {
        expect(tookMs).toBeLessThan(NEWCOMER_WAIT_MS + ANSWER_ALLOWANCE_MS);
        if (code === null) continue;
        expect(['WORKER_START_FAILED', 'POOL_EXHAUSTED']).toContain(code);
        expect(startedAt + tookMs).toBeGreaterThan(awayFrom);
        expect(startedAt).toBeLessThan(awayTo + HEAL_LIMIT_MS);
      }
      expect(await execute(gateway, 'late', '1 + 1')).toMatchObject({ resultText: '2' });
    },
    TIMEOUT_MS,
  );
});
