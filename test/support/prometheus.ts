/** Debian's Prometheus with the files of monitoring/, at short intervals. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureUnpacked } from '../../scripts/testing/debianPrograms.mjs';
import { until } from '../../testkit/until.ts';
import { commandOf } from './userPages.ts';

const FOLDER = new URL('../../monitoring/', import.meta.url).pathname;
const monitoringFile = (name: string) => readFileSync(join(FOLDER, name), 'utf8');

/** Longer than a gateway waits for its database before it answers a scrape without the pool's numbers. */
const SCRAPE_INTERVAL = '4s';
/** The range that stands for all ranges of the rules: long enough for a rate, short enough to see an alert resolved. */
const TEST_RANGE = '20s';

interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface Prometheus {
  readonly url: string;
  /** The result of the query now. @throws Error with Prometheus' message */
  query(expr: string): Promise<readonly Series[]>;
  /** The names of the alerts that fire now. */
  firing(): Promise<ReadonlySet<string>>;
  close(): Promise<void>;
}

/**
 * The rules with short durations: an alert fires when its expression is true for a second, and looks back
 * {@link TEST_RANGE}.
 * @param limits replaced thresholds, for what a test cannot bring about in its full size
 */
function shortened(rules: string, limits: Readonly<Record<string, string>>): string {
  const limited = Object.entries(limits).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`No rule contains ${from}.`);
    return text.replace(from, to);
  }, rules);
  return limited.replace(/for: \w+/g, 'for: 1s').replace(/\[\w+\]/g, `[${TEST_RANGE}]`);
}

/** Starts Prometheus, which scrapes the gateway at this port with this token. Resolves when it is ready. */
export async function startPrometheus(
  gateway: { readonly port: number; readonly token: string },
  limits: Readonly<Record<string, string>>,
): Promise<Prometheus> {
  const program = join(await ensureUnpacked('prometheus'), 'usr/bin/prometheus');
  const folder = mkdtempSync(join(tmpdir(), 'ch-prometheus-'));
  const config = monitoringFile('prometheus.yml')
    .replace('scrape_interval: 15s', `scrape_interval: ${SCRAPE_INTERVAL}`)
    .replace('localhost:3874', `localhost:${gateway.port}`);
  const write = (name: string, text: string) =>
    writeFileSync(join(folder, 'monitoring', name), text);
  mkdirSync(join(folder, 'monitoring'));
  write('prometheus.yml', `global: { evaluation_interval: 1s }\n${config}`);
  write('cellhouse-alerts.yml', shortened(monitoringFile('cellhouse-alerts.yml'), limits));
  write('auth-token', gateway.token);
  const [, ...words] = commandOf('docs/run/monitoring.md', 'prometheus ').split(' ');
  const own = ['--storage.tsdb.path=data', '--web.listen-address=127.0.0.1:0'];
  const child = spawn(program, [...words, ...own], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const port = await until('Prometheus listens', async () => {
    if (child.exitCode !== null) throw new Error(`Prometheus has ended:\n${log}`);
    return /Listening on" address=127\.0\.0\.1:(\d+)/.exec(log)?.[1];
  });
  const url = `http://127.0.0.1:${port}`;
  const get = async <T>(path: string): Promise<T> => {
    const answer = (await (await fetch(url + path)).json()) as { data: T; error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.data;
  };
  await until('Prometheus is ready', async () => (await fetch(`${url}/-/ready`)).ok);
  return {
    url,
    query: async (expr) => {
      const { result } = await get<{ result: Series[] }>(
        `/api/v1/query?query=${encodeURIComponent(expr)}`,
      );
      return result;
    },
    firing: async () => {
      type Alert = { labels: { alertname: string }; state: string };
      const { alerts } = await get<{ alerts: Alert[] }>('/api/v1/alerts');
      const firing = alerts.filter(({ state }) => state === 'firing');
      return new Set(firing.map(({ labels }) => labels.alertname));
    },
    close: async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// What the files contain.

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly schemaVersion: number;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string }[];
  };
}

export const dashboard = (): Dashboard => JSON.parse(monitoringFile('cellhouse-dashboard.json'));

/** All queries of the dashboard, as Grafana sends them for all gateways. */
export function dashboardQueries(): readonly { readonly panel: string; readonly expr: string }[] {
  return dashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr
        .replaceAll('$__rate_interval', TEST_RANGE)
        .replaceAll('$job', 'cellhouse')
        .replaceAll('$instance', '.+'),
    })),
  );
}

interface Alert {
  readonly name: string;
  readonly expr: string;
  readonly severity: string;
  readonly runbook: string;
}

/** All alerts of the rules. @throws Error if an alert lacks something */
export function alerts(): readonly Alert[] {
  const [, ...rules] = monitoringFile('cellhouse-alerts.yml').split(/^ +- alert: /m);
  return rules.map((rule) => {
    const field = (pattern: RegExp) => {
      const found = pattern.exec(rule)?.[1];
      if (found === undefined) throw new Error(`${pattern} is missing in:\n${rule}`);
      return found;
    };
    return {
      name: field(/^(\w+)\n/),
      expr: field(/^ +expr: (.+)$/m),
      severity: field(/severity: (critical|warning|info) /),
      runbook: field(/^ +runbook_url: (\S+)$/m),
    };
  });
}
