/** Without a gateway, the agent stops code at its limit, and a worker ends by itself if no gateway comes back. */
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import { pino } from 'pino';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureEmbeddedPostgres } from '../../src/postgres/embeddedPostgres.ts';
import { OWN_SERVER, startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { containerOf, execute, submit } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { cpuStallMs } from '../support/ownProcess.ts';

const ORPHAN_TIMEOUT_MS = 8_000;
const LIMIT_MS = 1_500;
/** The default of INTERRUPT_GRACE_MS. */
const GRACE_MS = 1_000;
/** Code may end this much later than its limit and its grace time allow. */
const MAX_OVERTIME_MS = 200;
const EXIT_ORPHANED = 86;

const docker = new Docker(
  process.env.DOCKER_HOST ? { socketPath: process.env.DOCKER_HOST.replace('unix://', '') } : {},
);
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({
    ...OWN_SERVER,
    WORKER_ORPHAN_TIMEOUT_MS: String(ORPHAN_TIMEOUT_MS),
    MIN_IDLE_WORKERS: '1',
  });
  await execute(gateway, 'ann', 'kept = 1');
});
afterAll(() => gateway?.destroy());

interface Ended {
  readonly status: string;
  readonly stateLost: boolean;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}

async function executionOf(id: string): Promise<Ended | null> {
  const { data } = await gateway.graphql<{ execution: Ended | null }>(
    'query Ended($id: ID!) { execution(id: $id) { status stateLost startedAt finishedAt } }',
    { id },
  );
  return data?.execution ?? null;
}

const started = (id: string): Promise<Ended> =>
  until('the code to run', async () => {
    const seen = await executionOf(id);
    return seen?.startedAt ? seen : null;
  });
const finished = (id: string): Promise<Ended> =>
  until('the end to be recorded', async () => {
    const seen = await executionOf(id);
    return seen?.finishedAt ? seen : null;
  });

async function deathOf(containerId: string): Promise<unknown> {
  const address = await ensureEmbeddedPostgres({
    dataDir: gateway.dataDir,
    logger: pino({ level: 'silent' }),
  });
  const sql = postgres({ ...address, max: 1 });
  try {
    const [worker] = await sql`
      SELECT w.end_reason, w.exit_code, s.close_reason
      FROM workers w JOIN sessions s ON s.id = w.session_id WHERE w.container_id = ${containerId}`;
    return worker;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

it('the agent stops runaway code at its limit while no gateway lives, and keeps the state', async () => {
  const { id } = await submit(gateway, 'ann', 'print("on")\nwhile True: pass', {
    timeoutMs: LIMIT_MS,
  });
  await started(id);
  const stallAt = cpuStallMs();
  await gateway.kill('SIGKILL');
  // There is no event to wait for: the limit must pass while no gateway runs.
  await delay(LIMIT_MS + GRACE_MS + MAX_OVERTIME_MS);
  const stalledMs = cpuStallMs() - stallAt;
  const restartedAt = Date.now();
  await gateway.restart();
  const { status, stateLost, startedAt, finishedAt } = await finished(id);
  expect({ status, stateLost }).toEqual({ status: 'TIMEOUT', stateLost: false });
  const end = Date.parse(finishedAt ?? '');
  const ranMs = end - Date.parse(startedAt ?? '') - stalledMs;
  expect(ranMs).toBeLessThan(LIMIT_MS + GRACE_MS + MAX_OVERTIME_MS);
  expect(end).toBeLessThan(restartedAt);
  expect((await execute(gateway, 'ann', 'kept')).resultText).toBe('1');
});

it('a worker that hears from no gateway ends by itself, and the next gateway records its death', async () => {
  const containerId = await containerOf(gateway, 'ann');
  const { id } = await submit(gateway, 'ann', 'import time\ntime.sleep(120)', {
    timeoutMs: 120_000,
  });
  await started(id);
  await gateway.kill('SIGKILL');
  const killedAt = performance.now();
  const { StatusCode } = (await docker.getContainer(containerId).wait()) as { StatusCode: number };
  expect(StatusCode).toBe(EXIT_ORPHANED);
  expect(performance.now() - killedAt).toBeGreaterThan(ORPHAN_TIMEOUT_MS - 1_000);
  await gateway.restart();
  expect((await finished(id)).status).toBe('WORKER_LOST');
  expect(await deathOf(containerId)).toMatchObject({
    end_reason: 'exited',
    exit_code: EXIT_ORPHANED,
    close_reason: 'worker-lost',
  });
  const next = await execute(gateway, 'ann', '"kept" in globals()');
  expect(next).toMatchObject({ status: 'OK', resultText: 'False', stateLost: true });
});
