/**
 * Debian's Prometheus with the rules and the queries of monitoring/ scrapes a real gateway: each query gives data under
 * load, and each alert fires by its fault, and is resolved after the cure. Durations are short (test/support/prometheus.ts);
 * test/int/monitoring.test.ts holds the real ones.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Docker from 'dockerode';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { recordBackup } from '../../src/process/dataDir.ts';
import { OWN_SERVER, startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { execute, follow, poolStatus, submit } from '../../testkit/interpreter.ts';
import { runCli } from '../../testkit/runCli.ts';
import { until } from '../../testkit/until.ts';
import { workerImage } from '../../testkit/workerImage.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/databaseProxy.ts';
import {
  alerts,
  dashboardQueries,
  type Prometheus,
  startPrometheus,
} from '../support/prometheus.ts';

const TIMEOUT_MS = 240_000;
const ALERT_LIMIT_MS = 120_000;
const LOAD_MS = 25_000;
const MAX_WORKERS = 4;
const REPO = `cellhouse-test-monitoring-${randomUUID()}`;
/** Panels that are empty without a fault, or without a feature that this gateway does not use. */
const EMPTY_UNDER_LOAD = ['Workers of environments', 'Connections of code to the outside'];
/**
 * Thresholds that a test reaches: two restarts instead of three, because each takes seconds of the short range; of
 * unsealed events; and of the heap of a small gateway.
 */
const LIMITS = { '[10m]) > 2': '[10m]) > 1', '> 10000': '> 40', '> 0.85': '> 0.3' };
/** Alerts that may fire under load here: by a busy machine, and by a limit that is far below the real one. */
const NOT_CALM = [
  'CellhouseEventLoopSlow',
  'CellhouseWorkerWaitSlow',
  'CellhouseExecutionsSlowToStart',
  'CellhouseEventsUnsealed',
];
/** Sets the clock of a gateway's process a minute ahead. */
const AHEAD = `const Real = Date;
globalThis.Date = class extends Real {
  static now() { return Real.now() + 60_000; }
  constructor(...given) { super(...(given.length > 0 ? given : [Real.now() + 60_000])); }
};`;

const docker = new Docker();
let database: OwnPostgres;
let gateway: TestGateway;
let prometheus: Prometheus;
beforeAll(async () => {
  await docker.getImage(workerImage()).tag({ repo: REPO, tag: '1' });
  database = await startOwnPostgres();
  gateway = await startTestGateway({
    DATABASE_URL: database.wire.url,
    WORKER_IMAGE: `${REPO}:1`,
    MIN_IDLE_WORKERS: '3',
    MAX_TOTAL_WORKERS: String(MAX_WORKERS),
    DOORS: 'mcp',
  });
  prometheus = await startPrometheus(gateway, LIMITS);
  await until('idle workers', async () => (await poolStatus(gateway)).idleWorkers === 3);
});
afterAll(async () => {
  await prometheus?.close();
  await gateway?.destroy();
  await database?.destroy();
  await docker.getImage(`${REPO}:1`).remove();
});

/** The alerts that have fired, of all tests. */
const fired = new Set<string>();

async function expectFiring(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    await until(`${name} fires`, async () => (await prometheus.firing()).has(name), ALERT_LIMIT_MS);
    fired.add(name);
  }
}

/** Goes on with the work until its alert fires: what a single burst causes may be over before the next scrape. */
async function expectFiringDuring(work: () => Promise<unknown>, name: string): Promise<void> {
  await until(
    `${name} fires`,
    async () => {
      await work();
      return (await prometheus.firing()).has(name);
    },
    ALERT_LIMIT_MS,
  );
  fired.add(name);
}

async function expectResolved(...names: readonly string[]): Promise<void> {
  await until(
    `${names.join(', ')} resolved`,
    async () => {
      const firing = await prometheus.firing();
      return !names.some((name) => firing.has(name));
    },
    ALERT_LIMIT_MS,
  );
}

const release = async (...users: readonly string[]) => {
  for (const userUuid of users)
    await gateway.graphql(
      'mutation Free($input: ReleaseInput!) { release(input: $input) { released } }',
      {
        input: { userUuid },
      },
    );
};

async function sql<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const client = postgres(database.wire.url, { max: 1 });
  try {
    return await work(client);
  } finally {
    await client.end({ timeout: 1 });
  }
}

/** Starts the gateway again with these options of Node; '': none. */
async function restartWith(nodeOptions: string): Promise<void> {
  await gateway.kill('SIGTERM');
  Object.assign(gateway.env, { NODE_OPTIONS: nodeOptions });
  await gateway.restart();
}

describe('Prometheus', { timeout: TIMEOUT_MS }, () => {
  it('gets data for each query of the dashboard from a gateway under load, and no alert fires', async () => {
    const until = performance.now() + LOAD_MS;
    const isOver = () => performance.now() > until;
    const printing = await submit(
      gateway,
      'printer',
      'for i in range(200): print(i); import time; time.sleep(0.1)',
    );
    const users = ['ann', 'bob'].map(async (user) => {
      while (!isOver())
        await execute(gateway, user, 'sum(range(100_000))', { waitForWorkerMs: 30_000 });
    });
    const others = async () => {
      while (!isOver()) {
        await gateway.graphql('mutation { execute(input: { userUuid: "", code: "1" }) { id } }');
        await fetch(`${gateway.url}/mcp`, { headers: { 'X-Auth-Token': gateway.token } });
        await delay(200);
      }
    };
    const followed = follow(gateway.socket(), printing.id);
    await Promise.all([...users, others(), followed]);
    const empty = new Set<string>();
    for (const { panel, expr } of dashboardQueries())
      if ((await prometheus.query(expr)).length === 0) empty.add(panel);
    expect([...empty].filter((panel) => !EMPTY_UNDER_LOAD.includes(panel))).toEqual([]);
    for (const { expr } of alerts()) await prometheus.query(expr);
    const firing = [...(await prometheus.firing())];
    expect(firing.filter((name) => !NOT_CALM.includes(name))).toEqual([]);
  });
});

describe('an alert fires by its fault, and is resolved after the cure:', {
  timeout: TIMEOUT_MS,
}, () => {
  it('wrong tokens', async () => {
    const tryWrongTokens = async () => {
      for (let count = 0; count < 10; count += 1)
        await fetch(`${gateway.url}/metrics`, { headers: { 'X-Auth-Token': `wrong-${count}` } });
    };
    await expectFiringDuring(tryWrongTokens, 'CellhouseWrongTokens');
    await expectResolved('CellhouseWrongTokens');
  });

  it('a gateway that is killed', async () => {
    await gateway.kill('SIGKILL');
    await expectFiring('CellhouseGatewayDown');
    await gateway.restart();
    await expectResolved('CellhouseGatewayDown');
  });

  it('a gateway that ends again and again', async () => {
    const startedAt = async () => {
      const [found] = await prometheus.query('process_start_time_seconds{job="cellhouse"}');
      return found?.value[1];
    };
    const restart = async () => {
      const before = await startedAt();
      await restartWith('');
      await until('the new process is scraped', async () => {
        const now = await startedAt();
        return now !== undefined && now !== before;
      });
    };
    await expectFiringDuring(restart, 'CellhouseGatewayRestarts');
    await expectResolved('CellhouseGatewayRestarts');
  });

  it('a pool that is full', async () => {
    await release('ann', 'bob', 'printer');
    const users = Array.from({ length: MAX_WORKERS }, (_, n) => `full-${n}`);
    for (const user of users) await execute(gateway, user, '1', { waitForWorkerMs: 60_000 });
    await expectFiring('CellhousePoolNearlyFull');
    const waiting = execute(gateway, 'late', '1', { waitForWorkerMs: 60_000 });
    const refused = gateway.graphql(
      'mutation { execute(input: { userUuid: "refused", code: "1", waitForWorkerMs: 1000 }) { id } }',
    );
    await expectFiring('CellhouseCallersWaiting');
    expect((await refused).errors?.[0]?.extensions?.code).toBe('POOL_EXHAUSTED');
    await expectFiring('CellhousePoolExhausted');
    await release(...users);
    await waiting;
    await expectFiring('CellhouseWorkerWaitSlow');
    await release('late');
    await expectResolved(
      'CellhousePoolNearlyFull',
      'CellhouseCallersWaiting',
      'CellhousePoolExhausted',
      'CellhouseWorkerWaitSlow',
    );
  });

  it('code that waits for other code, and a worker that is killed', async () => {
    const slow = await submit(gateway, 'queue', 'import time; time.sleep(8)', {
      waitForWorkerMs: 60_000,
    });
    expect(slow.status).not.toBe('ERROR');
    await execute(gateway, 'queue', '2');
    await expectFiring('CellhouseExecutionsSlowToStart');
    const { data } = await gateway.graphql<{ session: { worker: { containerId: string } } }>(
      '{ session(userUuid: "queue") { worker { containerId } } }',
    );
    await docker.getContainer(data?.session.worker.containerId ?? '').kill();
    await expectFiring('CellhouseWorkersLost');
    await expectResolved('CellhouseExecutionsSlowToStart', 'CellhouseWorkersLost');
  });

  it('a quota that is reached, and an environment that cannot be built', async () => {
    const quota = (rest: string) =>
      gateway.graphql(
        `mutation { setQuota(input: { kind: EXECUTIONS_PER_MINUTE, ${rest} }) { limit } }`,
      );
    await quota('limit: 0');
    await gateway.graphql('mutation { execute(input: { userUuid: "hot", code: "1" }) { id } }');
    await expectFiring('CellhouseQuotaRefusals');
    await quota('reset: true');
    const { errors } = await gateway.graphql(
      'mutation { createEnvironment(input: { name: "broken", apt: ["cellhouse-has-no-such-package"] }) { name } }',
    );
    expect(errors).toBeUndefined();
    await expectFiring('CellhouseEnvironmentBuildFailed');
    await expectResolved('CellhouseQuotaRefusals', 'CellhouseEnvironmentBuildFailed');
  });

  it('a worker image that is gone', async () => {
    await docker.getImage(`${REPO}:1`).remove();
    const users = Array.from({ length: 3 }, (_, n) => `image-${n}`);
    const waiting = users.map((user) => execute(gateway, user, '1', { waitForWorkerMs: 60_000 }));
    await expectFiring('CellhousePoolDegraded');
    await docker.getImage(workerImage()).tag({ repo: REPO, tag: '1' });
    await Promise.all(waiting);
    await expectResolved('CellhousePoolDegraded');
    await release(...users);
  });

  it('a PostgreSQL that is away', async () => {
    const printing = await submit(
      gateway,
      'printing',
      'import time\nfor i in range(60): print(i, flush=True); time.sleep(1)',
      { waitForWorkerMs: 60_000 },
    );
    expect(printing.id).toBeTruthy();
    await database.kill();
    const failing = gateway.graphql(
      'mutation { execute(input: { userUuid: "printing", code: "1" }) { id } }',
    );
    await expectFiring(
      'CellhouseDatabaseDown',
      'CellhouseCommitsRetried',
      'CellhouseLeasesNotRenewed',
      'CellhouseOutputNotStored',
    );
    expect((await failing).errors?.[0]?.extensions?.code).toBe('DATABASE_UNAVAILABLE');
    await expectFiring('CellhouseCallsFail');
    expect((await prometheus.firing()).has('CellhouseGatewayDown')).toBe(false);
    await database.start();
    await expectResolved(
      'CellhouseDatabaseDown',
      'CellhouseCallsFail',
      'CellhouseCommitsRetried',
      'CellhouseLeasesNotRenewed',
      'CellhouseOutputNotStored',
    );
    await release('printing');
  });

  it('a database whose functions were changed', async () => {
    await sql((db) => db`ALTER FUNCTION cellhouse_seal RENAME TO mislaid_seal`);
    for (let count = 0; count < 20; count += 1)
      await execute(gateway, 'unsealed', '1', { waitForWorkerMs: 60_000 });
    await expectFiring('CellhouseEventsUnsealed');
    await sql((db) => db`ALTER FUNCTION mislaid_seal RENAME TO cellhouse_seal`);
    await sql((db) => db`ALTER TABLE quotas RENAME TO mislaid_quotas`);
    const { errors } = await gateway.graphql(
      'mutation { setQuota(input: { kind: OPEN_SESSIONS, limit: 9 }) { limit } }',
    );
    expect(errors?.[0]?.extensions?.code).toBe('INTERNAL');
    await expectFiring('CellhouseInternalErrors');
    await sql((db) => db`ALTER TABLE mislaid_quotas RENAME TO quotas`);
    await release('unsealed');
    await expectResolved('CellhouseInternalErrors', 'CellhouseEventsUnsealed');
  });

  it('a history that was changed', async () => {
    await sql((db) => db`UPDATE chain_head SET open_day = (now() AT TIME ZONE 'UTC')::date - 1`);
    await execute(gateway, 'audited', '1', { waitForWorkerMs: 60_000 });
    const closed = await until('the day is closed', async () => {
      const days = await sql(
        (db) => db`SELECT day::text, head FROM chain_days WHERE day > '-infinity'`,
      );
      return days[0];
    });
    await restartWith('');
    await until('its head is noted', async () => gateway.log().includes(`"day":"${closed.day}"`));
    await sql((db) => db`UPDATE chain_days SET head = sha256(head) WHERE day = ${closed.day}`);
    await restartWith('');
    await expectFiring('CellhouseAuditHeadsDiffer');
    await sql((db) => db`UPDATE chain_days SET head = ${closed.head} WHERE day = ${closed.day}`);
    await restartWith('');
    await expectResolved('CellhouseAuditHeadsDiffer');
  });

  it('a backup that is two days old', async () => {
    const backups = mkdtempSync(join(tmpdir(), 'ch-backups-'));
    onTestFinished(() => rmSync(backups, { recursive: true }));
    const embedded = await startTestGateway({ ...OWN_SERVER, MIN_IDLE_WORKERS: '0' });
    onTestFinished(() => embedded.destroy());
    const other = await startPrometheus(embedded, LIMITS);
    onTestFinished(() => other.close());
    const isFiring = async () => (await other.firing()).has('CellhouseBackupOld');
    const madeAt = new Date(Date.now() - 50 * 3_600_000);
    recordBackup(embedded.dataDir, { path: join(backups, 'old'), madeAt });
    await until('the alert fires', isFiring, ALERT_LIMIT_MS);
    fired.add('CellhouseBackupOld');
    await runCli(['backup', '--to', backups], embedded.env);
    await until('the alert is resolved', async () => !(await isFiring()), ALERT_LIMIT_MS);
  });

  it('too little CPU', async () => {
    let isCured = false;
    const throttle = (async () => {
      while (!isCured) {
        process.kill(gateway.pid, 'SIGSTOP');
        await delay(900);
        process.kill(gateway.pid, 'SIGCONT');
        await delay(500);
      }
    })();
    await expectFiring('CellhouseEventLoopSlow').finally(() => {
      isCured = true;
    });
    await throttle;
    await expectResolved('CellhouseEventLoopSlow');
  });

  it('a heap that is nearly full, and a clock that is wrong', async () => {
    const ahead = `data:text/javascript,${encodeURIComponent(AHEAD)}`;
    await restartWith(`--max-old-space-size=96 --max-semi-space-size=1 --import=${ahead}`);
    await expectFiring('CellhouseClockWrong', 'CellhouseHeapNearlyFull');
    await restartWith('');
    await expectResolved('CellhouseClockWrong', 'CellhouseHeapNearlyFull');
  });

  it('no alert is left out', () => {
    expect([...fired].sort()).toEqual(
      alerts()
        .map(({ name }) => name)
        .sort(),
    );
  });
});
