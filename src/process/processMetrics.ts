import { collectDefaultMetrics, Registry } from 'prom-client';

/** How finely the event loop's lag is sampled. Each sample wakes the process, and holds this much more than the lag. */
const LOOP_RESOLUTION_MS = 20;

/**
 * What Node and the kernel tell of this process: memory, CPU time, event loop, garbage collection, descriptors. To be called
 * once in a process: prom-client cannot take its observers of the event loop and the garbage collector away again
 * (prometheus/client_js#500).
 * @returns gives them in Prometheus' text format
 */
export function createProcessMetrics(): () => Promise<string> {
  const register = new Registry();
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LOOP_RESOLUTION_MS });
  return () => register.metrics();
}
