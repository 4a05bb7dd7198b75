/** `/metrics`, in Prometheus' text format. docs/run/metrics.md lists all metrics. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { AuditStatus } from '../../domain/auditHead.ts';
import type { DatabaseFaults } from '../../domain/databaseFaults.ts';
import type { EgressTotals } from '../../domain/egress.ts';
import type { DomainEvent } from '../../domain/events.ts';
import type { EndStatus, ExecutionEnd } from '../../domain/execution.ts';
import type { MessageCounts } from '../../domain/messageCounts.ts';
import type { PoolDegradation } from '../../domain/poolStatus.ts';
import type { MetricsView } from '../../service/pool/poolStatus.ts';
import type { Principal } from '../../service/principal.ts';
import type { Service } from '../../service/service.ts';
import type { DoorCounts } from '../doors/doorRoute.ts';
import type { DoorSockets } from '../doors/doorSockets.ts';
import type { FailedLogins } from './failedLogins.ts';
import type { FileCounts } from './files/fileAnswers.ts';

// The metrics of refused callers.

interface AccessCounts {
  /** One for each kind of secret: tokens, keys and signatures. */
  readonly failedLogins: readonly Pick<FailedLogins, 'count' | 'limited'>[];
  /** Refused calls by code. */
  readonly refusals: { readonly totals: ReadonlyMap<string, number> };
}

function addAccess(registry: Registry, { failedLogins, refusals }: AccessCounts): void {
  const registers = [registry];
  new Counter({
    name: 'cellhouse_failed_logins_total',
    help: 'Calls and connections with a wrong token.',
    registers,
    collect() {
      this.reset();
      for (const { count } of failedLogins) this.inc(count);
    },
  });
  new Gauge({
    name: 'cellhouse_limited_addresses',
    help: 'Addresses that have sent too many wrong tokens, and must wait.',
    registers,
    collect() {
      this.set(failedLogins.reduce((sum, { limited }) => sum + limited, 0));
    },
  });
  new Counter({
    name: 'cellhouse_refused_calls_total',
    help: 'Calls that were refused, by code, and those that failed (INTERNAL).',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      for (const [code, count] of refusals.totals) this.inc({ code }, count);
    },
  });
}

// The metrics of the doors.

interface DoorView {
  readonly doorCounts: Pick<DoorCounts, 'answers'>;
  readonly doorSockets: Pick<DoorSockets, 'count'>;
}

function addDoors(registry: Registry, { doorCounts, doorSockets }: DoorView): void {
  const registers = [registry];
  new Counter({
    name: 'cellhouse_door_answers_total',
    help: 'Answers to HTTP requests by door and status. An upgrade to a WebSocket is none.',
    labelNames: ['door', 'status'],
    registers,
    collect() {
      this.reset();
      for (const { door, status, count } of doorCounts.answers) this.inc({ door, status }, count);
    },
  });
  new Gauge({
    name: 'cellhouse_door_websocket_connections',
    help: 'Open WebSocket connections of doors.',
    registers,
    collect() {
      this.set(doorSockets.count);
    },
  });
}

// The metrics of the connections that user code makes to the outside.

interface EgressView {
  /** Null: code may reach nothing. */
  readonly egressTotals: () => EgressTotals | null;
}

function addEgress(registry: Registry, { egressTotals }: EgressView): void {
  const registers = [registry];
  new Gauge({
    name: 'cellhouse_egress_connections',
    help: 'Open connections of code to the outside.',
    registers,
    collect() {
      this.set(egressTotals()?.open ?? 0);
    },
  });
  new Counter({
    name: 'cellhouse_egress_connections_total',
    help: 'Connections to the outside that code has asked for, by outcome.',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset();
      for (const [outcome, count] of egressTotals()?.outcomes ?? []) this.inc({ outcome }, count);
    },
  });
  new Counter({
    name: 'cellhouse_egress_bytes_total',
    help: 'Bytes that code has exchanged with the outside.',
    labelNames: ['direction'],
    registers,
    collect() {
      this.reset();
      const totals = egressTotals();
      this.inc({ direction: 'sent' }, totals?.sentBytes ?? 0);
      this.inc({ direction: 'received' }, totals?.receivedBytes ?? 0);
    },
  });
}

/** From the time that `1+1` takes in a warm worker to the time of batch work. Events record times in milliseconds. */
const BUCKETS_S = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600,
];
const MS_PER_S = 1_000;

/** Every status is reported from the first scrape on, so that an alert can distinguish 0 from unknown. */
const NONE_ENDED: Readonly<Record<EndStatus, 0>> = {
  OK: 0,
  ERROR: 0,
  TIMEOUT: 0,
  INTERRUPTED: 0,
  WORKER_LOST: 0,
  CANCELLED: 0,
};

/** Counts executions that ended, and their times. @returns a function that counts one execution */
function createExecutionMetrics(registry: Registry): (end: ExecutionEnd) => void {
  const registers = [registry];
  const histogram = (name: string, help: string) => newHistogram(registry, name, help);
  const ended = new Counter({
    name: 'cellhouse_executions_total',
    help: 'Executions whose end this gateway recorded, by status.',
    labelNames: ['status'],
    registers,
  });
  const queue = histogram(
    'cellhouse_execution_queue_seconds',
    'From the acceptance of an execution to its start, or to its end if it never started.',
  );
  const run = histogram(
    'cellhouse_execution_run_seconds',
    'From the start of an execution to its end, if it started.',
  );
  const total = histogram(
    'cellhouse_execution_total_seconds',
    'From the acceptance of an execution to its end.',
  );
  for (const [status, none] of Object.entries(NONE_ENDED)) ended.inc({ status }, none);
  return ({ status, queuedMs, runMs }) => {
    ended.inc({ status });
    queue.observe(queuedMs / MS_PER_S);
    if (runMs !== null) run.observe(runMs / MS_PER_S);
    total.observe((queuedMs + (runMs ?? 0)) / MS_PER_S);
  };
}

function newHistogram(registry: Registry, name: string, help: string): Histogram {
  return new Histogram({ name, help, buckets: BUCKETS_S, registers: [registry] });
}

/** Counts what has ended badly without a caller. @returns a function that counts an event, if it is one of these */
function createFaultMetrics(registry: Registry): (event: DomainEvent) => void {
  const counter = (name: string, help: string) =>
    new Counter({ name, help, registers: [registry] });
  const lost = counter(
    'cellhouse_workers_lost_total',
    'Workers that ended although nobody asked for it, as this gateway recorded.',
  );
  const failed = counter(
    'cellhouse_environment_build_failures_total',
    'Builds of environments that failed, as this gateway recorded.',
  );
  return ({ type, data }) => {
    // One that could not be made has never served: `cellhouse_pool_degraded` shows it.
    if (type === 'WorkerLost' && data.reason !== 'create-failed') lost.inc();
    if (type === 'EnvironmentBuildFailed') failed.inc();
  };
}

/** Measures how long calls wait for a worker. @returns a function that stops this */
function addClaims(registry: Registry, onClaimed: MetricsDeps['onClaimed']): () => void {
  const wait = newHistogram(
    registry,
    'cellhouse_worker_wait_seconds',
    'How long calls waited until they had a worker. Calls that got none are refused calls.',
  );
  return onClaimed((waitedMs) => wait.observe(waitedMs / MS_PER_S));
}

// The metrics that `/metrics` shows to a token of one tenant: only numbers of that tenant.

type InstallationView = Extract<MetricsView, { readonly of: 'installation' }>;
type TenantView = Extract<MetricsView, { readonly of: 'tenant' }>;

/** In Prometheus' text format. */
export async function tenantMetrics(view: TenantView): Promise<string> {
  const registry = new Registry();
  const add = (name: string, help: string, value: number) =>
    new Gauge({ name: `cellhouse_tenant_${name}`, help, registers: [registry] }).set(value);
  add('open_sessions', 'Open sessions of the tenant.', view.openSessions);
  add('waiting_requests', 'Calls of the tenant that wait for a worker.', view.waitingRequests);
  add(
    'queued_executions',
    'Executions of the tenant that wait for their turn.',
    view.queuedExecutions,
  );
  add('running_executions', 'Executions of the tenant that run.', view.runningExecutions);
  const labelled = (name: string, help: string) =>
    new Gauge({
      name: `cellhouse_tenant_${name}`,
      help,
      labelNames: ['kind'],
      registers: [registry],
    });
  const limits = labelled('quota_limit', 'The quotas of the tenant, where there are any.');
  const used = labelled('quota_used', 'What the tenant uses of each kind of quota.');
  for (const { kind, limit, used: now } of view.quotas) {
    if (limit !== null) limits.set({ kind }, limit);
    used.set({ kind }, now);
  }
  return await registry.metrics();
}

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** The interval between samples of the event loop's delay. Each sample is the delay plus this interval. */
const LOOP_RESOLUTION_MS = 20;

/** A record, so that the compiler reports a reason that is not listed. */
const DEGRADATION_REASONS = {
  'engine-away': true,
  'other-engine': true,
  'image-missing': true,
  'disk-full': true,
  'worker-start-failed': true,
} satisfies Record<PoolDegradation['reason'], true>;

export interface MetricsDeps extends AccessCounts, DoorView, EgressView {
  /** The version of this program. */
  readonly version: string;
  readonly service: Pick<Service, 'metrics'>;
  /** Calls the listener with each event that this gateway has recorded. Returns a function that removes the listener. */
  readonly onOwnEvent: (listener: (event: DomainEvent) => void) => () => void;
  /** Calls the listener with the time, in ms, that a call has waited for its worker. Returns as `onOwnEvent` does. */
  readonly onClaimed: (listener: (waitedMs: number) => void) => () => void;
  readonly databaseFaults: Readonly<DatabaseFaults>;
  readonly messageCounts: () => Readonly<MessageCounts>;
  /** The bytes of files that were moved by `/files/` and by doors, and the requests to `/files/`. */
  readonly fileCounts: () => Readonly<FileCounts>;
  /** Calls and connections of this gateway. */
  readonly connections: () => Connections;
  /** What this gateway knows of the audit chain. */
  readonly auditStatus: () => AuditStatus;
  /** When `cellhouse backup` last made a backup of the embedded database. Null: never, or the database is another. */
  readonly lastBackupAt: () => Date | null;
  /** The metrics of the process, in Prometheus' text format. */
  readonly processMetrics: () => Promise<string>;
}

interface Connections {
  readonly inFlightCalls: number;
  readonly webSockets: number;
  readonly outputFollowers: number;
}

export interface Metrics {
  /** @throws FORBIDDEN */
  text(principal: Principal): Promise<string>;
  /** Ends the measurements that run by themselves. Idempotent. */
  close(): void;
}

export function createMetrics(deps: MetricsDeps): Metrics {
  const registry = new Registry();
  addBuildInfo(registry, deps.version);
  const setPool = addPool(registry);
  const setDatabaseUp = addDatabase(registry, deps.databaseFaults);
  const ended = createExecutionMetrics(registry);
  const countFault = createFaultMetrics(registry);
  const offEvents = deps.onOwnEvent((event) => {
    if (event.type === 'ExecutionFinished') ended(event.data);
    countFault(event);
  });
  const offClaims = addClaims(registry, deps.onClaimed);
  addMessages(registry, deps.messageCounts);
  addConnections(registry, deps.connections);
  addFiles(registry, deps.fileCounts);
  addAccess(registry, deps);
  addDoors(registry, deps);
  addEgress(registry, deps);
  addAudit(registry, deps.auditStatus);
  addBackup(registry, deps.lastBackupAt);
  const loop = addLoopDelay(registry);
  return {
    text: async (principal) => {
      const view = await deps.service.metrics(principal);
      if (view.of === 'tenant') return await tenantMetrics(view);
      setDatabaseUp(view.pool !== null);
      setPool(view);
      return `${await registry.metrics()}\n${await deps.processMetrics()}`;
    },
    close: () => {
      offEvents();
      offClaims();
      loop.close();
    },
  };
}

/** Adds the clock, and the version: a metric that only has labels, so its value is always 1, as usual. */
function addBuildInfo(registry: Registry, version: string): void {
  new Gauge({
    name: 'cellhouse_build_info',
    help: 'The version of the gateway, as a label.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
  new Gauge({
    name: 'cellhouse_clock_seconds',
    help: 'The clock of the gateway, in seconds since 1970.',
    registers: [registry],
    collect() {
      this.set(Date.now() / MS_PER_S);
    },
  });
}

/** @returns a function that sets whether the database answers */
function addDatabase(
  registry: Registry,
  faults: Readonly<DatabaseFaults>,
): (isUp: boolean) => void {
  const up = new Gauge({
    name: 'cellhouse_database_up',
    help: 'Whether PostgreSQL has answered this scrape.',
    registers: [registry],
  });
  addCount(
    registry,
    'cellhouse_commit_retries_total',
    'Attempts to commit that failed, and were made again.',
    () => faults.commitRetries,
  );
  addCount(
    registry,
    'cellhouse_lease_renewal_failures_total',
    'Rounds in which the leases of this gateway could not be renewed.',
    () => faults.leaseRenewalFailures,
  );
  return (isUp) => up.set(Number(isUp));
}

/** A counter whose value is counted elsewhere, by code that knows nothing of metrics. */
function addCount(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

/**
 * @returns a function that sets these metrics to the pool's current status. Without a status, only the reason of a
 * degradation stays: old numbers would look like present ones
 */
function addPool(registry: Registry): (view: InstallationView) => void {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const workers = new Gauge({
    name: 'cellhouse_workers',
    help: 'Workers by state.',
    labelNames: ['state'],
    registers,
  });
  const ofEnvironments = new Gauge({
    name: 'cellhouse_environment_workers',
    help: 'Workers of environments by state.',
    labelNames: ['environment', 'version', 'state'],
    registers,
  });
  const max = gauge('cellhouse_workers_max', 'MAX_TOTAL_WORKERS.');
  const idleMin = gauge('cellhouse_workers_idle_min', 'MIN_IDLE_WORKERS.');
  const waiting = gauge('cellhouse_waiting_requests', 'Calls that wait for a worker.');
  const degraded = new Gauge({
    name: 'cellhouse_pool_degraded',
    help: 'Whether workers cannot be made, by reason.',
    labelNames: ['reason'],
    registers,
  });
  return ({ pool: status, degradation }) => {
    for (const reason of Object.keys(DEGRADATION_REASONS))
      degraded.set({ reason }, Number(degradation?.reason === reason));
    for (const labelled of [workers, ofEnvironments]) labelled.reset();
    for (const number of [max, idleMin, waiting]) number.remove();
    if (status === null) return;
    workers.set({ state: 'starting' }, status.startingWorkers);
    workers.set({ state: 'idle' }, status.idleWorkers);
    workers.set({ state: 'busy' }, status.busyWorkers);
    for (const { name, version, ...numbers } of status.environments) {
      const labels = { environment: name, version };
      ofEnvironments.set({ ...labels, state: 'starting' }, numbers.startingWorkers);
      ofEnvironments.set({ ...labels, state: 'idle' }, numbers.idleWorkers);
      ofEnvironments.set({ ...labels, state: 'busy' }, numbers.busyWorkers);
    }
    max.set(status.maxTotalWorkers);
    idleMin.set(status.minIdleWorkers);
    waiting.set(status.waitingRequests);
  };
}

function addMessages(registry: Registry, counts: MetricsDeps['messageCounts']): void {
  const registers = [registry];
  addCount(
    registry,
    'cellhouse_worker_connections_total',
    'Connections made to workers.',
    () => counts().connections,
  );
  addCount(
    registry,
    'cellhouse_store_retries_total',
    'Attempts to store messages of workers that failed, and were made again.',
    () => counts().storeRetries,
  );
  new Counter({
    name: 'cellhouse_worker_messages_total',
    help: 'Messages from workers: delivered, sent again and dropped (duplicates), not understood (invalid; some of these are delivered as a gap), of types that concern nobody (ignored).',
    labelNames: ['fate'],
    registers,
    collect() {
      const { connections: _, storeRetries: __, ...messages } = counts();
      this.reset();
      for (const [fate, count] of Object.entries(messages)) this.inc({ fate }, count);
    },
  });
}

function addConnections(registry: Registry, connections: MetricsDeps['connections']): void {
  const gauge = (name: string, help: string, read: (now: Connections) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read(connections()));
      },
    });
  gauge(
    'cellhouse_calls_in_flight',
    'Calls being answered: queries, mutations, and requests for files and to doors.',
    ({ inFlightCalls }) => inFlightCalls,
  );
  gauge(
    'cellhouse_websocket_connections',
    'Open WebSocket connections of GraphQL.',
    ({ webSockets }) => webSockets,
  );
  gauge(
    'cellhouse_output_followers',
    'Subscriptions that follow output.',
    ({ outputFollowers }) => outputFollowers,
  );
}

function addFiles(registry: Registry, counts: MetricsDeps['fileCounts']): void {
  const registers = [registry];
  new Gauge({
    name: 'cellhouse_file_requests_in_flight',
    help: 'Requests for files that are being answered.',
    registers,
    collect() {
      this.set(counts().requests);
    },
  });
  new Counter({
    name: 'cellhouse_file_bytes_total',
    help: 'Bytes of files received from clients (up) and sent to clients with their headers (down).',
    labelNames: ['direction'],
    registers,
    collect() {
      const { uploadedBytes, downloadedBytes } = counts();
      this.reset();
      this.inc({ direction: 'up' }, uploadedBytes);
      this.inc({ direction: 'down' }, downloadedBytes);
    },
  });
}

function addAudit(registry: Registry, status: MetricsDeps['auditStatus']): void {
  const registers = [registry];
  new Gauge({
    name: 'cellhouse_unsealed_events',
    help: 'Events that the audit chain does not have yet.',
    registers,
    collect() {
      this.set(status().unsealedEvents);
    },
  });
  new Gauge({
    name: 'cellhouse_audit_heads_differing',
    help: 'Heads of the audit chain in DATA_DIR that the database does not have.',
    registers,
    collect() {
      this.set(status().differingHeads);
    },
  });
}

/** The metric has no value before the first backup. */
function addBackup(registry: Registry, lastBackupAt: MetricsDeps['lastBackupAt']): void {
  new Gauge({
    name: 'cellhouse_last_backup_timestamp_seconds',
    help: 'When the embedded database was last backed up, in seconds since 1970.',
    registers: [registry],
    collect() {
      const at = lastBackupAt();
      if (at === null) this.remove();
      else this.set(at.getTime() / MS_PER_S);
    },
  });
}

function addLoopDelay(registry: Registry): { close(): void } {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  new Gauge({
    name: 'cellhouse_event_loop_delay_p99_seconds',
    help: 'Delay of the event loop since the last scrape, in 99 of 100 samples no longer than this.',
    registers: [registry],
    collect() {
      const delayMs = Math.max(0, delay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS);
      this.set(Number.isFinite(delayMs) ? delayMs / 1e3 : 0);
      delay.reset();
    },
  });
  return { close: () => void delay.disable() };
}
