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
/** A counter that rises once a minute from the eleventh on. */
const rises = (metric: string, labels = COUNTER) => [
  { series: `${metric}{${labels}}`, values: '0x10 1+1x60' },
];
/** A gauge that has one value for ten minutes, and then another. */
const becomes = (metric: string, calm: number, bad: number, labels = COUNTER) => [
  { series: `${metric}{${labels}}`, values: `${calm}x10 ${bad}x60` },
];
/** A histogram whose samples are above `le` seconds from the eleventh minute on. */
const slows = (metric: string, le: string) => [
  { series: `${metric}_bucket{${COUNTER},le="${le}"}`, values: '0+9x10 90x60' },
  { series: `${metric}_bucket{${COUNTER},le="60"}`, values: '0+9x70' },
  { series: `${metric}_bucket{${COUNTER},le="+Inf"}`, values: '0+9x70' },
];

/** What makes each alert true from the eleventh minute on, and the minute after which it fires. */
const CASES: Readonly<
  Record<
    string,
    { readonly input: readonly { series: string; values: string }[]; readonly after: number }
  >
> = {
  CellhouseGatewayDown: { input: becomes('up', 1, 0), after: 1 },
  CellhouseDatabaseDown: { input: becomes('cellhouse_database_up', 1, 0), after: 1 },
  CellhouseCommitsRetried: { input: rises('cellhouse_commit_retries_total'), after: 5 },
  CellhouseLeasesNotRenewed: { input: rises('cellhouse_lease_renewal_failures_total'), after: 5 },
  CellhouseOutputNotStored: { input: rises('cellhouse_store_retries_total'), after: 2 },
  CellhouseInternalErrors: { input: refusals('INTERNAL'), after: 0 },
  CellhousePoolDegraded: {
    input: becomes('cellhouse_pool_degraded', 0, 1, `${COUNTER},reason="disk-full"`),
    after: 2,
  },
  CellhousePoolExhausted: { input: refusals('POOL_EXHAUSTED'), after: 0 },
  CellhousePoolNearlyFull: {
    input: [
      ...becomes('cellhouse_workers', 8, 9, `${COUNTER},state="busy"`),
      ...becomes('cellhouse_workers_max', 10, 10),
    ],
    after: 10,
  },
  CellhouseCallersWaiting: { input: becomes('cellhouse_waiting_requests', 0, 1), after: 5 },
  CellhouseWorkerWaitSlow: { input: slows('cellhouse_worker_wait_seconds', '1'), after: 5 },
  CellhouseExecutionsSlowToStart: {
    input: slows('cellhouse_execution_queue_seconds', '5'),
    after: 5,
  },
  CellhouseWorkersLost: { input: rises('cellhouse_workers_lost_total'), after: 0 },
  CellhouseAuditHeadsDiffer: { input: becomes('cellhouse_audit_heads_differing', 0, 1), after: 0 },
  CellhouseEventsUnsealed: {
    input: becomes('cellhouse_unsealed_events', 10_000, 10_001),
    after: 5,
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
  // The first sample of a promtool test is at 0 s. The clock agrees for ten minutes, and is then 6 s ahead.
  CellhouseClockWrong: {
    input: [{ series: `cellhouse_clock_seconds{${COUNTER}}`, values: '5+60x10 666+60x60' }],
    after: 2,
  },
  CellhouseEnvironmentBuildFailed: {
    input: rises('cellhouse_environment_build_failures_total'),
    after: 0,
  },
  CellhouseWrongTokens: { input: becomes('cellhouse_limited_addresses', 0, 1), after: 5 },
  CellhouseQuotaRefusals: { input: refusals('QUOTA_EXCEEDED'), after: 0 },
};

function refusals(code: string) {
  return rises('cellhouse_refused_calls_total', `${COUNTER},code="${code}"`);
}

/** The eleventh minute, in which the trouble begins. */
const BEGINS_AT = 11;

/** A file for `promtool test rules`: each alert is silent until its time has passed, and fires then. JSON is YAML. */
function ruleTests(): string {
  const tests = Object.entries(CASES).map(([alertname, { input, after }]) => ({
    name: alertname,
    interval: '1m',
    input_series: input,
    promql_expr_test: [
      ...[BEGINS_AT + after - 1, BEGINS_AT + after + 1].map((minute, isFiring) => ({
        expr: `count(ALERTS{alertname="${alertname}",alertstate="firing"}) or vector(0)`,
        eval_time: `${minute}m`,
        exp_samples: [{ labels: '{}', value: isFiring }],
      })),
    ],
  }));
  return JSON.stringify({ rule_files: ['cellhouse-alerts.yml'], evaluation_interval: '1m', tests });
}

describe('monitoring/', () => {
  it('has a configuration and rules that Prometheus accepts', async () => {
    const { stdout } = await run(promtool, ['check', 'config', 'monitoring/prometheus.yml'], {
      cwd: copyFolder(),
    });
    expect(stdout).toContain(`${alerts().length} rules found`);
  });

  it('has alerts that are silent at first, and fire when their time has passed', async () => {
    expect(Object.keys(CASES)).toEqual(alerts().map(({ name }) => name));
    const folder = join(copyFolder(), 'monitoring');
    writeFileSync(join(folder, 'tests.yml'), ruleTests());
    const { stdout } = await run(promtool, ['test', 'rules', 'tests.yml'], { cwd: folder });
    expect(stdout).toContain('SUCCESS');
  });

  it('has a dashboard whose queries Prometheus can parse', async () => {
    const folder = copyFolder();
    const rules = dashboardQueries().map(({ expr }, n) => ({ record: `panel:${n}`, expr }));
    const text = JSON.stringify({ groups: [{ name: 'panels', rules }] });
    writeFileSync(join(folder, 'panels.yml'), text);
    const { stdout } = await run(promtool, ['check', 'rules', join(folder, 'panels.yml')]);
    expect(stdout).toContain(`${rules.length} rules found`);
  });

  it('names only metrics that a gateway has', async () => {
    const { origin } = await startTransport(memoryService(), { processMetrics });
    const answer = await fetch(`${origin}/metrics`, { headers: { 'X-Auth-Token': TOKEN } });
    const families = parsePrometheus(await answer.text());
    const exprs = [...alerts(), ...dashboardQueries()].map(({ expr }) => expr);
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
