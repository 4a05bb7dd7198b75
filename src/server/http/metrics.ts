/** `/metrics`, in Prometheus' text format. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { EndStatus } from '../../domain/execution.ts';
import type { MessageCounts } from '../../domain/messageCounts.ts';
import type { PoolDegradation, PoolStatus } from '../../domain/poolStatus.ts';
import type { Principal } from '../../service/principal.ts';
import type { Service } from '../../service/service.ts';

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** How finely the event loop's delay is sampled; each sample holds this much more than the delay. */
const LOOP_RESOLUTION_MS = 20;

const DEGRADATION_REASONS: readonly PoolDegradation['reason'][] = [
  'engine-away',
  'other-engine',
  'image-missing',
  'disk-full',
  'worker-start-failed',
];

export interface MetricsDeps {
  readonly service: Pick<Service, 'poolStatus'>;
  /** Executions that ended, on any gateway, since this process started. */
  readonly endedExecutions: () => ReadonlyMap<EndStatus, number>;
  readonly messageCounts: () => Readonly<MessageCounts>;
  /** Calls and connections of this gateway. */
  readonly connections: () => Connections;
}

interface Connections {
  readonly inFlightCalls: number;
  readonly webSockets: number;
  readonly outputFollowers: number;
}

export interface Metrics {
  text(principal: Principal): Promise<string>;
  close(): void;
}

interface Sample {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Label text (or '') -> value. */
  readonly values: ReadonlyMap<string, number>;
}

export function createMetrics(deps: MetricsDeps): Metrics {
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loopDelay.enable();

  return {
    async text(principal) {
      const samples = [
        ...poolSamples(await deps.service.poolStatus(principal)),
        executionSample(deps.endedExecutions()),
        ...kernelSamples(deps.messageCounts()),
        ...connectionSamples(deps.connections()),
        ...processSamples(Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS) / 1e3),
      ];
      loopDelay.reset();
      return samples.map(print).join('');
    },
    close: () => void loopDelay.disable(),
  };
}

function poolSamples(status: PoolStatus): Sample[] {
  const workers = new Map([
    ['{state="starting"}', status.startingWorkers],
    ['{state="idle"}', status.idleWorkers],
    ['{state="busy"}', status.busyWorkers],
  ]);
  return [
    { name: 'cellhouse_workers', type: 'gauge', help: 'Workers by state.', values: workers },
    gauge('cellhouse_workers_max', 'MAX_TOTAL_WORKERS.', status.maxTotalWorkers),
    gauge('cellhouse_workers_idle_min', 'MIN_IDLE_WORKERS.', status.minIdleWorkers),
    gauge('cellhouse_waiting_requests', 'Calls that wait for a worker.', status.waitingRequests),
    {
      name: 'cellhouse_pool_degraded',
      type: 'gauge',
      help: 'Whether workers cannot be made, by reason.',
      values: new Map(
        DEGRADATION_REASONS.map((reason) => [
          `{reason="${reason}"}`,
          Number(status.degradation?.reason === reason),
        ]),
      ),
    },
  ];
}

function executionSample(ended: ReadonlyMap<EndStatus, number>): Sample {
  return {
    name: 'cellhouse_executions_total',
    type: 'counter',
    help: 'Executions that ended since this process started, on any gateway, by status.',
    values: new Map([...ended].map(([status, count]) => [`{status="${status}"}`, count])),
  };
}

function kernelSamples({ connections, ...messages }: Readonly<MessageCounts>): Sample[] {
  return [
    counter('cellhouse_worker_connections_total', 'Connections made to workers.', connections),
    {
      name: 'cellhouse_worker_messages_total',
      type: 'counter',
      help: 'Messages from workers: delivered, sent again and dropped (duplicates), not understood (invalid; some of these are delivered as a gap), of types that concern nobody (ignored).',
      values: new Map(Object.entries(messages).map(([fate, count]) => [`{fate="${fate}"}`, count])),
    },
  ];
}

function connectionSamples({ inFlightCalls, webSockets, outputFollowers }: Connections): Sample[] {
  return [
    gauge('cellhouse_calls_in_flight', 'Queries and mutations being answered.', inFlightCalls),
    gauge('cellhouse_websocket_connections', 'Open WebSocket connections.', webSockets),
    gauge('cellhouse_output_followers', 'Subscriptions that follow output.', outputFollowers),
  ];
}

function processSamples(loopDelaySeconds: number): Sample[] {
  const cpu = process.cpuUsage();
  const seconds = (cpu.user + cpu.system) / 1e6;
  return [
    counter('process_cpu_seconds_total', 'CPU time used.', seconds),
    gauge('process_resident_memory_bytes', 'Resident memory.', process.memoryUsage.rss()),
    gauge(
      'cellhouse_event_loop_delay_p99_seconds',
      'Delay of the event loop since the last scrape.',
      Number.isFinite(loopDelaySeconds) ? loopDelaySeconds : 0,
    ),
  ];
}

function gauge(name: string, help: string, value: number): Sample {
  return { name, type: 'gauge', help, values: new Map([['', value]]) };
}

function counter(name: string, help: string, value: number): Sample {
  return { ...gauge(name, help, value), type: 'counter' };
}

function print({ name, type, help, values }: Sample): string {
  const lines = [...values].map(([labels, value]) => `${name}${labels} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
