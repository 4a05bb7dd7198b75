/**
 * The files of monitoring/ are valid, every query names metrics that a gateway has, each alert fires after its time in
 * promtool's own tests, and has a section. test/e2e/monitoring.test.ts lets each alert fire by its fault.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ensureUnpacked } from '../../scripts/testing/debianPrograms.mjs';
import { createProcessMetrics } from '../../src/process/servingProcess.ts';
import { memoryService } from '../support/memoryService.ts';
import { alerts, dashboard, dashboardQueries, type Panel } from '../support/prometheus.ts';
import { parsePrometheus } from '../support/prometheusText.ts';
import { startTransport, TOKEN } from '../support/transportServer.ts';
import { commandOf, fences, readPage } from '../support/userPages.ts';

const run = promisify(execFile);
const ROOT = new URL('../../', import.meta.url).pathname;
const processMetrics = createProcessMetrics();
let promtool: string;
beforeAll(async () => {
  promtool = join(await ensureUnpacked('promtool'), 'usr/bin/promtool');
});

/** A copy of the folder, with a file for the token. */
function copyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ch-monitoring-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(`${ROOT}monitoring`, join(folder, 'monitoring'), { recursive: true });
  writeFileSync(join(folder, 'monitoring/auth-token'), TOKEN);
  return folder;
}

const COUNTER = 'job="cellhouse",instance="a"';
/** The interval of scrapes and evaluations in the tests of promtool, as in prometheus.yml. */
const INTERVAL_S = 15;
const SCRAPES_A_MINUTE = 60 / INTERVAL_S;
/** The trouble begins with the first scrape after ten minutes, and lasts for an hour. */
const CALM_SCRAPES = 10 * SCRAPES_A_MINUTE;
const BAD_SCRAPES = 60 * SCRAPES_A_MINUTE;
const BEGINS_AT_S = CALM_SCRAPES * INTERVAL_S + INTERVAL_S;
const ENDS_AT_S = BEGINS_AT_S + BAD_SCRAPES * INTERVAL_S;

interface InputSeries {
  readonly series: string;
  readonly values: string;
}

/** A gauge that has one value for ten minutes, and then another. */
const becomes = (metric: string, calm: number, bad: number, labels = COUNTER): InputSeries[] => [
  { series: `${metric}{${labels}}`, values: `${calm}x${CALM_SCRAPES} ${bad}x${BAD_SCRAPES}` },
];
/** A counter that rises `times` times, once a minute, from the beginning of the trouble on. */
const rises = (metric: string, labels = COUNTER, times = Number.POSITIVE_INFINITY) => {
  const values = Array.from({ length: BAD_SCRAPES }, (_, scrape) =>
    Math.min(times, 1 + Math.floor(scrape / SCRAPES_A_MINUTE)),
  );
  return [{ series: `${metric}{${labels}}`, values: `0x${CALM_SCRAPES} ${values.join(' ')}` }];
};
/** A histogram of 36 samples a minute. In the first `minutes` of the trouble, all samples exceed `le` seconds. */
const slows = (metric: string, le: string, minutes = 60): InputSeries[] => {
  const bad = minutes * SCRAPES_A_MINUTE;
  const calmAgain = BAD_SCRAPES - bad;
  const fast = `0+9x${CALM_SCRAPES} ${9 * CALM_SCRAPES}x${bad} ${9 * CALM_SCRAPES}+9x${calmAgain}`;
  const all = `0+9x${CALM_SCRAPES + BAD_SCRAPES + 2}`;
  return [
    { series: `${metric}_bucket{${COUNTER},le="${le}"}`, values: fast },
    { series: `${metric}_bucket{${COUNTER},le="60"}`, values: all },
    { series: `${metric}_bucket{${COUNTER},le="+Inf"}`, values: all },
  ];
};
/** A pool of four workers, of which `workers` have a session. */
const busy = (workers: number): InputSeries[] => [
  ...becomes('cellhouse_workers', workers, workers, `${COUNTER},state="busy"`),
  ...becomes('cellhouse_workers_max', 4, 4),
];

/** The input that makes each alert true from the beginning of the trouble on, and the minutes after which it fires. */
const CASES: Readonly<
  Record<string, { readonly input: readonly InputSeries[]; readonly after: number }>
> = {
  CellhouseGatewayDown: { input: becomes('up', 1, 0), after: 1 },
  CellhouseGatewayRestarts: {
    input: [
      {
        series: `process_start_time_seconds{${COUNTER}}`,
        values: `0x${CALM_SCRAPES} ${Array.from({ length: BAD_SCRAPES }, (_, scrape) => Math.min(3, scrape + 1)).join(' ')}`,
      },
    ],
    after: 0.5,
  },
  CellhouseDatabaseDown: { input: becomes('cellhouse_database_up', 1, 0), after: 1 },
  CellhouseCallsFail: { input: refusals('DATABASE_UNAVAILABLE'), after: 2 },
  CellhouseCommitsRetried: { input: rises('cellhouse_commit_retries_total'), after: 10 },
  CellhouseLeasesNotRenewed: { input: rises('cellhouse_lease_renewal_failures_total'), after: 10 },
  CellhouseOutputNotStored: { input: rises('cellhouse_store_retries_total'), after: 3 },
  CellhouseInternalErrors: { input: refusals('INTERNAL'), after: 0 },
  CellhousePoolDegraded: {
    input: becomes('cellhouse_pool_degraded', 0, 1, `${COUNTER},reason="disk-full"`),
    after: 2,
  },
  CellhousePoolExhausted: { input: [...refusals('POOL_EXHAUSTED'), ...busy(4)], after: 5 },
  CellhousePoolNearlyFull: {
    input: [
      ...becomes('cellhouse_workers', 8, 9, `${COUNTER},state="busy"`),
      ...becomes('cellhouse_workers_max', 10, 10),
    ],
    after: 10,
  },
  CellhouseCallersWaiting: { input: becomes('cellhouse_waiting_requests', 0, 1), after: 5 },
  CellhouseWorkerWaitSlow: { input: slows('cellhouse_worker_wait_seconds', '1'), after: 10 },
  CellhouseExecutionsSlowToStart: {
    input: slows('cellhouse_execution_queue_seconds', '5'),
    after: 10,
  },
  CellhouseWorkersLost: { input: rises('cellhouse_workers_lost_total'), after: 0 },
  CellhouseAuditHeadsDiffer: { input: becomes('cellhouse_audit_heads_differing', 0, 1), after: 0 },
  CellhouseEventsUnsealed: {
    input: becomes('cellhouse_unsealed_events', 10_000, 10_001),
    after: 5,
  },
  // The tests begin at 0 s, so a backup of two days before has a negative time.
  CellhouseBackupOld: {
    input: becomes('cellhouse_last_backup_timestamp_seconds', 0, -172_800),
    after: 10,
  },
  CellhouseEventLoopSlow: {
    input: becomes('cellhouse_event_loop_delay_p99_seconds', 0.5, 0.6),
    after: 5,
  },
  CellhouseHeapNearlyFull: {
    input: [
      ...becomes('nodejs_heap_size_used_bytes', 85, 86),
      ...becomes('cellhouse_heap_limit_bytes', 100, 100),
    ],
    after: 5,
  },
  // The first sample of a promtool test is at 0 s. The clock is 5 s ahead for ten minutes, which is no fault, then 6 s.
  CellhouseClockWrong: {
    input: [
      {
        series: `cellhouse_clock_seconds{${COUNTER}}`,
        values: `5+15x${CALM_SCRAPES} 621+15x${BAD_SCRAPES}`,
      },
    ],
    after: 2,
  },
  CellhouseEnvironmentBuildFailed: {
    input: rises('cellhouse_environment_build_failures_total'),
    after: 0,
  },
  CellhouseWrongTokens: { input: becomes('cellhouse_limited_addresses', 0, 1), after: 5 },
  CellhouseQuotaRefusals: { input: refusals('QUOTA_EXCEEDED'), after: 0 },
};

function refusals(code: string, times?: number) {
  return rises('cellhouse_refused_calls_total', `${COUNTER},code="${code}"`, times);
}

/** Troubles that must not fire an alert, because they are over before anybody could act, or are no fault. */
const SILENT: readonly {
  readonly what: string;
  readonly alert: string;
  readonly input: readonly InputSeries[];
}[] = [
  ...[
    ['CellhouseCommitsRetried', 'cellhouse_commit_retries_total', 5],
    ['CellhouseLeasesNotRenewed', 'cellhouse_lease_renewal_failures_total', 5],
    ['CellhouseOutputNotStored', 'cellhouse_store_retries_total', 2],
  ].flatMap(([alert, metric, minutes]) => [
    { what: 'one retry', alert: `${alert}`, input: rises(`${metric}`, COUNTER, 1) },
    {
      what: `retries in ${minutes} minutes`,
      alert: `${alert}`,
      input: rises(`${metric}`, COUNTER, Number(minutes)),
    },
  ]),
  {
    what: 'an upgrade and a restart',
    alert: 'CellhouseGatewayRestarts',
    input: [
      {
        series: `process_start_time_seconds{${COUNTER}}`,
        values: `0x${CALM_SCRAPES} 1x20 2x${BAD_SCRAPES}`,
      },
    ],
  },
  {
    what: 'one failed call',
    alert: 'CellhouseCallsFail',
    input: refusals('DATABASE_UNAVAILABLE', 1),
  },
  {
    what: 'one refused call while the pool is full',
    alert: 'CellhousePoolExhausted',
    input: [...refusals('POOL_EXHAUSTED', 1), ...busy(4)],
  },
  {
    what: 'a client that never waits, while the pool has room',
    alert: 'CellhousePoolExhausted',
    input: [...refusals('POOL_EXHAUSTED'), ...busy(3)],
  },
  {
    what: 'a full pool that refuses nobody',
    alert: 'CellhousePoolExhausted',
    input: [...refusals('POOL_EXHAUSTED', 0), ...busy(4)],
  },
  {
    what: 'five slow minutes',
    alert: 'CellhouseWorkerWaitSlow',
    input: slows('cellhouse_worker_wait_seconds', '1', 5),
  },
  {
    what: 'five slow minutes',
    alert: 'CellhouseExecutionsSlowToStart',
    input: slows('cellhouse_execution_queue_seconds', '5', 5),
  },
];

/** A file for `promtool test rules`: each alert is silent until its time has passed, and fires then. JSON is YAML. */
function ruleTests(): string {
  const firing = (alert: string) => `ALERTS{alertname="${alert}",alertstate="firing"}`;
  const fires = Object.entries(CASES).map(([alert, { input, after }]) => ({
    name: alert,
    input_series: input,
    promql_expr_test: [-INTERVAL_S, INTERVAL_S].map((seconds, isFiring) => ({
      expr: `count(${firing(alert)}) or vector(0)`,
      eval_time: `${BEGINS_AT_S + 60 * after + seconds}s`,
      exp_samples: [{ labels: '{}', value: isFiring }],
    })),
  }));
  const silent = SILENT.map(({ what, alert, input }) => ({
    name: `${alert}: ${what}`,
    input_series: input,
    promql_expr_test: [
      {
        expr: `count(max_over_time(${firing(alert)}[${ENDS_AT_S}s])) or vector(0)`,
        eval_time: `${ENDS_AT_S}s`,
        exp_samples: [{ labels: '{}', value: 0 }],
      },
    ],
  }));
  const interval = `${INTERVAL_S}s`;
  return JSON.stringify({
    rule_files: ['cellhouse-alerts.yml'],
    evaluation_interval: interval,
    tests: [...fires, ...silent].map((test) => ({ interval, ...test })),
  });
}

/** The queries of docs/run/metrics.md, one a line. */
function queriesOfPage(): string[] {
  const queries = fences('promql', readPage('docs/run/metrics.md')).join('').trim().split('\n');
  expect(queries.length).toBeGreaterThan(1);
  return queries;
}

describe('monitoring/', () => {
  it('has a configuration and rules that Prometheus accepts', async () => {
    const [, ...words] = commandOf('docs/run/monitoring.md', 'promtool ').split(' ');
    const { stdout } = await run(promtool, words, { cwd: copyFolder() });
    expect(stdout).toContain(`${alerts().length} rules found`);
  });

  it('has alerts that are silent at first, fire when their time has passed, and do not fire for what is over soon', async () => {
    expect(Object.keys(CASES)).toEqual(alerts().map(({ name }) => name));
    const folder = join(copyFolder(), 'monitoring');
    writeFileSync(join(folder, 'tests.yml'), ruleTests());
    const { stdout } = await run(promtool, ['test', 'rules', 'tests.yml'], { cwd: folder });
    expect(stdout).toContain('SUCCESS');
  });

  it('has a dashboard whose queries Prometheus can parse, as it can those of docs/run/metrics.md', async () => {
    const folder = copyFolder();
    const exprs = [...dashboardQueries().map(({ expr }) => expr), ...queriesOfPage()];
    const rules = exprs.map((expr, n) => ({ record: `panel:${n}`, expr }));
    const text = JSON.stringify({ groups: [{ name: 'panels', rules }] });
    writeFileSync(join(folder, 'panels.yml'), text);
    const { stdout } = await run(promtool, ['check', 'rules', join(folder, 'panels.yml')]);
    expect(stdout).toContain(`${rules.length} rules found`);
  });

  it('names only metrics that a gateway has', async () => {
    const { origin } = await startTransport(memoryService(), { processMetrics });
    const answer = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
    const families = parsePrometheus(await answer.text());
    const shown = [...alerts(), ...dashboardQueries()].map(({ expr }) => expr);
    const exprs = [...shown, ...queriesOfPage()];
    const named = exprs.flatMap((expr) => expr.match(/\b(?:cellhouse|nodejs|process)_\w+/g) ?? []);
    expect(named.length).toBeGreaterThan(60);
    const base = (name: string) => name.replace(/_bucket$/, '');
    expect([...new Set(named.map(base))].filter((name) => !families.has(name))).toEqual([]);
  });

  it('has a section of what to do for each alert, and for no other', () => {
    const page = readFileSync(`${ROOT}docs/run/alerts.md`, 'utf8');
    const sections = [...page.matchAll(/^## (\w+)$/gm)].map(([, name = '']) => name);
    expect(sections).toEqual(alerts().map(({ name }) => name));
    for (const { name, runbook } of alerts())
      expect(runbook).toBe(`docs/run/alerts.md#${name.toLowerCase()}`);
  });
});

describe('the dashboard', () => {
  const { panels, templating } = dashboard();
  const graphs = panels.filter(({ type }) => type !== 'row');

  it('has panels with a description, a unit, and queries of the chosen source', () => {
    expect(graphs.length).toBeGreaterThan(25);
    for (const panel of graphs) {
      expect(panel, panel.title).toMatchObject({
        description: expect.stringMatching(/\.$/),
        datasource: { type: 'prometheus', uid: expect.stringMatching(/^\$\{datasource\}$/) },
        fieldConfig: { defaults: { unit: expect.stringMatching(/^\w+$/) } },
      });
      expect(panel.targets?.length).toBeGreaterThan(0);
      for (const { expr } of panel.targets ?? []) expect(expr).toContain('instance=~"$instance"');
    }
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'instance']);
  });

  it('has panels that do not overlap', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(cellsOf);
    expect(new Set(cells).size).toBe(cells.length);
  });
});

/** The cells of Grafana's grid of 24 columns that the panel covers. */
function cellsOf({ gridPos: { x, y, w, h } }: Panel): string[] {
  expect(x + w).toBeLessThanOrEqual(24);
  return Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`);
}
