/**
 * PostgreSQL is away under load. Running code goes on in the workers; requests wait up to a limit, and then get an
 * error with advice. Afterwards nothing that was acknowledged is missing or was done twice.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/databaseProxy.ts';
import { expectLossless, startOutageLoad } from '../support/outageLoad.ts';

/** Long enough for a lease to expire and for many attempts to connect. A whole minute would test nothing more. */
const OUTAGE_MS = Number(process.env.CELLHOUSE_OUTAGE_MS ?? 8_000);
const BEFORE_MS = 2_000;
const AFTER_MS = 3_000;
const TIMEOUT_MS = OUTAGE_MS + 120_000;
/** How long calls wait for the database (docs/use/errors-and-limits.md), and what a busy machine may add. */
const WAIT_LIMIT_MS = 30_000;
const ANSWER_ALLOWANCE_MS = 8_000;
/** The gateway gives up a half-open connection for commits after 10 s, and for reads after 20 s. */
const HALF_OPEN_LIMIT_MS = 25_000;

let postgres: OwnPostgres;
let gateway: TestGateway;
beforeAll(async () => {
  postgres = await startOwnPostgres();
  gateway = await startTestGateway({ DATABASE_URL: postgres.wire.url, MAX_TOTAL_WORKERS: '8' });
});
afterAll(async () => {
  await gateway.destroy();
  await postgres.destroy();
});

describe('a PostgreSQL that is away', () => {
  it(
    'a PostgreSQL that is killed with -9 and comes back costs no session, no output and no execution',
    async () => {
      const load = await startOutageLoad(gateway, BEFORE_MS + OUTAGE_MS + AFTER_MS);
      await strike().finally(() => load.stop());
      const report = await load.stop();
      await expectLossless(gateway, load.printing, report);
      const calls = [...report.counting.flat(), ...report.newcomers];
      for (const { tookMs } of calls) {
        expect(tookMs).toBeLessThan(WAIT_LIMIT_MS + ANSWER_ALLOWANCE_MS);
      }
      // Callers that name a shorter limit are refused after that limit.
      expect(report.newcomers.map(({ code }) => code)).toContain('DATABASE_UNAVAILABLE');
      const isToldToRepeat = report.counting.flat().some(({ code }) => code !== null);
      expect(isToldToRepeat).toBe(OUTAGE_MS > WAIT_LIMIT_MS);
    },
    TIMEOUT_MS,
  );

  it(
    'a PostgreSQL behind silent connections is reached over new ones',
    async () => {
      const load = await startOutageLoad(gateway, HALF_OPEN_LIMIT_MS);
      await delay(BEFORE_MS);
      postgres.wire.stall();
      const startedAt = performance.now();
      const served = execute(gateway, 'counting-0', '"served"');
      const tookMs = await served
        .then(() => performance.now() - startedAt)
        .finally(() => load.stop());
      expect(await served).toMatchObject({ resultText: "'served'", stateLost: false });
      expect(tookMs).toBeLessThan(HALF_OPEN_LIMIT_MS);
      await expectLossless(gateway, load.printing, await load.stop());
    },
    TIMEOUT_MS,
  );
});

async function strike(): Promise<void> {
  await delay(BEFORE_MS);
  await postgres.kill();
  await until('it is told', async () => (await readiness()).status === 503);
  expect((await readiness()).reasons).toEqual(['The database does not answer.']);
  await delay(OUTAGE_MS);
  await postgres.start();
  await until('it is ready again', async () => (await readiness()).status === 200);
  await delay(AFTER_MS);
}

async function readiness(): Promise<{ status: number; reasons: string[] }> {
  const answer = await fetch(`${gateway.url}/readyz`);
  const { reasons } = (await answer.json()) as { reasons: string[] };
  return { status: answer.status, reasons };
}
