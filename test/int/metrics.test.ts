/** All that `/metrics` gives a scraper, read as strictly as Prometheus reads it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DomainEvent } from '../../src/domain/events.ts';
import type { ExecutionEnd } from '../../src/domain/execution.ts';
import { createProcessMetrics } from '../../src/process/servingProcess.ts';
import { tenantMetrics } from '../../src/server/http/metrics.ts';
import { AUTH_TOKEN_HOLDER } from '../../src/service/principal.ts';
import { until } from '../../testkit/until.ts';
import { useDatabase } from '../support/database.ts';
import { memoryService, POOL_STATUS } from '../support/memoryService.ts';
import { createProgrammedRuntime } from '../support/programmedRuntime.ts';
import { type Families, parsePrometheus } from '../support/prometheusText.ts';
import { startServingGateway } from '../support/serviceGateways.ts';
import { startTransport, TOKEN, VERSION } from '../support/transportServer.ts';

const processMetrics = createProcessMetrics();
const db = await useDatabase();

const NUMBERS = {
  of: 'tenant',
  openSessions: 1,
  waitingRequests: 2,
  queuedExecutions: 3,
  runningExecutions: 4,
  quotas: [
    { kind: 'OPEN_SESSIONS', tenant: 'a', userUuid: null, limit: 5, used: 1 },
    { kind: 'QUEUED_EXECUTIONS', tenant: 'a', userUuid: null, limit: null, used: 3 },
  ],
} as const;

async function scrape(origin: string): Promise<Families> {
  const response = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parsePrometheus(await response.text());
}

function value(families: Families, family: string, labels = {}, name = family): number {
  const sample = families
    .get(family)
    ?.samples.find((each) => each.name === name && matches(each.labels, labels));
  if (!sample) throw new Error(`${name} ${JSON.stringify(labels)} is not there.`);
  return sample.value;
}

function matches(labels: object, wanted: object): boolean {
  return JSON.stringify(labels) === JSON.stringify(wanted);
}

/** The numbers of a histogram: all samples, their sum in seconds, and those of at most `le` seconds. */
function histogram(families: Families, name: string, le: string) {
  return {
    count: value(families, name, {}, `${name}_count`),
    sum: value(families, name, {}, `${name}_sum`),
    atMost: value(families, name, { le }, `${name}_bucket`),
  };
}

/** A server that gets its events and its waits for workers from the test. */
async function startListening() {
  const onEvent: ((event: DomainEvent) => void)[] = [];
  const onClaim: ((waitedMs: number) => void)[] = [];
  const into =
    <T>(list: T[]) =>
    (listener: T) => {
      list.push(listener);
      return () => undefined;
    };
  const { origin } = await startTransport(memoryService(), {
    onOwnEvent: into(onEvent),
    onClaimed: into(onClaim),
  });
  return {
    origin,
    happens: (event: DomainEvent) => onEvent.forEach((tell) => void tell(event)),
    claimed: (waitedMs: number) => onClaim.forEach((tell) => void tell(waitedMs)),
  };
}

describe('/metrics', () => {
  it('needs the token', async () => {
    const { origin } = await startTransport(memoryService());
    expect((await fetch(`${origin}/metrics`)).status).toBe(401);
  });

  it('reports pool, workers and connections', async () => {
    const { origin } = await startTransport(memoryService());
    const told = await scrape(origin);
    expect(value(told, 'cellhouse_build_info', { version: VERSION })).toBe(1);
    expect(value(told, 'cellhouse_workers', { state: 'idle' })).toBe(2);
    expect(value(told, 'cellhouse_pool_degraded', { reason: 'disk-full' })).toBe(0);
    expect(value(told, 'cellhouse_worker_messages_total', { fate: 'invalid' })).toBe(3);
    expect(value(told, 'cellhouse_calls_in_flight')).toBe(0);
    expect(value(told, 'cellhouse_unsealed_events')).toBe(7);
    expect(value(told, 'cellhouse_audit_heads_differing')).toBe(0);
    // Counters from elsewhere are reported as they are, and not added up with each scrape.
    const again = await scrape(origin);
    expect(value(again, 'cellhouse_worker_messages_total', { fate: 'invalid' })).toBe(3);
  });

  it('counts executions, and how long they waited and ran', async () => {
    const { origin, happens } = await startListening();
    const tell = (data: ExecutionEnd) =>
      happens({ type: 'ExecutionFinished', data } as DomainEvent);
    expect(value(await scrape(origin), 'cellhouse_executions_total', { status: 'TIMEOUT' })).toBe(
      0,
    );
    tell({ status: 'OK', queuedMs: 4, runMs: 20 });
    tell({ status: 'OK', queuedMs: 250, runMs: 2_000 });
    tell({ status: 'CANCELLED', queuedMs: 7_200_000, runMs: null });
    const told = await scrape(origin);
    expect(value(told, 'cellhouse_executions_total', { status: 'OK' })).toBe(2);
    expect(value(told, 'cellhouse_executions_total', { status: 'CANCELLED' })).toBe(1);
    expect(histogram(told, 'cellhouse_execution_queue_seconds', '0.25')).toEqual({
      count: 3,
      sum: expect.closeTo(7_200.254),
      atMost: 2,
    });
    expect(histogram(told, 'cellhouse_execution_run_seconds', '0.025')).toEqual({
      count: 2,
      sum: expect.closeTo(2.02),
      atMost: 1,
    });
    expect(histogram(told, 'cellhouse_execution_total_seconds', '3600')).toEqual({
      count: 3,
      sum: expect.closeTo(7_202.274),
      atMost: 2,
    });
  });

  it('counts lost workers, but none that could not be made, failed builds and waits for workers', async () => {
    const { origin, happens, claimed } = await startListening();
    const at = new Date().toISOString();
    for (const reason of ['oom', 'create-failed'] as const)
      happens({ type: 'WorkerLost', data: { at, reason, exitCode: null, detail: null } });
    happens({ type: 'EnvironmentBuildFailed', data: { at, failure: '', lastLines: '' } });
    happens({ type: 'WorkerRemoved', data: { at } });
    claimed(20);
    claimed(3_000);
    const told = await scrape(origin);
    expect(value(told, 'cellhouse_workers_lost_total')).toBe(1);
    expect(value(told, 'cellhouse_environment_build_failures_total')).toBe(1);
    expect(histogram(told, 'cellhouse_worker_wait_seconds', '0.025')).toEqual({
      count: 2,
      sum: expect.closeTo(3.02),
      atMost: 1,
    });
  });

  it('without the database, says so, and has no numbers of the pool', async () => {
    let isAway = false;
    const { origin } = await startTransport(
      memoryService({
        metrics: async () => ({
          of: 'installation',
          pool: isAway ? null : POOL_STATUS,
          degradation: { reason: 'disk-full', message: '', since: new Date() },
        }),
      }),
    );
    expect(value(await scrape(origin), 'cellhouse_database_up')).toBe(1);
    isAway = true;
    const told = await scrape(origin);
    expect(value(told, 'cellhouse_database_up')).toBe(0);
    expect(value(told, 'cellhouse_pool_degraded', { reason: 'disk-full' })).toBe(1);
    expect(value(told, 'cellhouse_commit_retries_total')).toBe(8);
    const ofPool = ['workers', 'workers_max', 'workers_idle_min', 'waiting_requests'];
    for (const name of ofPool) expect(told.get(`cellhouse_${name}`)?.samples).toEqual([]);
  });

  it('has the metrics that docs/run/metrics.md lists, and no others', async () => {
    const { origin } = await startTransport(memoryService(), { processMetrics });
    const page = readFileSync(new URL('../../docs/run/metrics.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z_0-9]+)` +\| (\w+) /gm)];
    const listed = rows.map(([, name, type]) => [name, type]);
    const ofTenant = parsePrometheus(await tenantMetrics(NUMBERS));
    const told = [...(await scrape(origin)), ...ofTenant].map(([name, { type }]) => [name, type]);
    expect(listed.toSorted()).toEqual(told.toSorted());
  });

  it('shows a tenant its own numbers, and nothing else', async () => {
    const { origin } = await startTransport(memoryService({ metrics: async () => NUMBERS }));
    const told = await scrape(origin);
    expect([...told.keys()].every((name) => name.startsWith('cellhouse_tenant_'))).toBe(true);
    expect(value(told, 'cellhouse_tenant_open_sessions')).toBe(1);
    expect(value(told, 'cellhouse_tenant_running_executions')).toBe(4);
    expect(value(told, 'cellhouse_tenant_quota_limit', { kind: 'OPEN_SESSIONS' })).toBe(5);
    expect(value(told, 'cellhouse_tenant_quota_used', { kind: 'QUEUED_EXECUTIONS' })).toBe(3);
    expect(told.get('cellhouse_tenant_quota_limit')?.samples).toHaveLength(1);
  });

  it('reports the same process metrics at every gateway of a process, and stops with its server', async () => {
    let listening = 0;
    const start = () =>
      startTransport(memoryService(), {
        processMetrics,
        onOwnEvent: () => {
          listening += 1;
          return () => {
            listening -= 1;
          };
        },
      });
    const [one, other] = [await start(), await start()];
    const startOf = async ({ origin }: { origin: string }) =>
      value(await scrape(origin), 'process_start_time_seconds');
    expect(await startOf(one)).toBe(await startOf(other));
    expect(listening).toBe(2);
    await one.server.close();
    await one.server.close();
    expect(listening).toBe(1);
  });
});

describe('two gateways of one installation', () => {
  it('count an execution only once, at the gateway that records its end', async () => {
    const socketDir = mkdtempSync(join(tmpdir(), 'ch-metrics-'));
    const workers = createProgrammedRuntime();
    const { runtime } = workers;
    const serve = async () => {
      const database = await db.open();
      const gateway = await startServingGateway({ database, runtime, socketDir });
      const { port } = await gateway.server.listen();
      return { gateway, origin: `http://127.0.0.1:${port}` };
    };
    const [one, other] = [await serve(), await serve()];
    onTestFinished(async () => {
      await one.gateway.close();
      await other.gateway.close();
      await workers.close();
      rmSync(socketDir, { recursive: true, force: true });
    });
    for (const { gateway } of [one, other, one]) {
      const request = { userUuid: 'ann', code: '1' };
      expect(await gateway.service.execute(AUTH_TOKEN_HOLDER, request)).toMatchObject({
        status: 'OK',
      });
    }
    const counted = async (origin: string) => {
      const told = await scrape(origin);
      const ended = value(told, 'cellhouse_executions_total', { status: 'OK' });
      expect(histogram(told, 'cellhouse_execution_total_seconds', '+Inf').count).toBe(ended);
      return ended;
    };
    const both = async () => (await counted(one.origin)) + (await counted(other.origin));
    await until('three ends', async () => (await both()) >= 3);
    // Each gateway has got the event of at least one end, because it has answered with that end.
    expect(await both()).toBe(3);
  });
});
