import { collectDefaultMetrics, Registry } from 'prom-client';

/**
 * The interval between samples of the event loop's lag. A sample wakes the process, and is the lag plus this interval.
 */
const LOOP_RESOLUTION_MS = 20;

/**
 * Node's and Linux's metrics of this process: memory, CPU time, event loop, garbage collection, descriptors. Call this
 * only once in a process, because prom-client cannot remove its observers of the event loop and the garbage collector
 * (prometheus/client_js#500).
 * @returns a function that gives the metrics in Prometheus' text format
 */
export function createProcessMetrics(): () => Promise<string> {
  const register = new Registry();
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LOOP_RESOLUTION_MS });
  return () => register.metrics();
}
