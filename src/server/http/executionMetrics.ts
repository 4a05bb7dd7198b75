import { Counter, Histogram, type Registry } from 'prom-client';
import type { EndStatus, ExecutionEnd } from '../../domain/execution.ts';

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
export function createExecutionMetrics(registry: Registry): (end: ExecutionEnd) => void {
  const registers = [registry];
  const histogram = (name: string, help: string) =>
    new Histogram({ name, help, buckets: BUCKETS_S, registers });
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
