/** The process of `cellhouse serve`: its stop signals, how its V8 collects and optimizes, and its metrics. */

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { messageOf } from '../domain/errors.ts';

// Handles SIGINT and SIGTERM. One Ctrl-C can arrive twice within a millisecond: from the terminal to the process group,
// and from npm. So all signals within SAME_SIGNAL_MS of the first count as one. A later signal means "end immediately".

const SAME_SIGNAL_MS = 1_000;
/** Limit of the whole stop. After it the process ends, even if the stop is not finished. */
const STOP_TIMEOUT_MS = 9_500;
/** 128 + SIGINT, which is the convention of shells. */
const EXIT_AT_ONCE = 130;

/**
 * Calls `close` at the first signal, then ends the process, with `process.exitCode` if it closed in time. The returned
 * function does the same without a signal: it prints the reason and sets the exit code 1. It does nothing if a stop is
 * under way.
 */
export function onStopSignals(close: () => Promise<void>): (reason: string) => void {
  let isStopping = false;
  let firstSignalAt: number | null = null;

  async function stop(): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    console.log(
      'Stopping. Sessions and running code go on, unless `cellhouse stop` (in a clone, `npm stop`) ends them. Signal again to end at once.',
    );
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
    await close().catch((error: unknown) => {
      console.error(`cellhouse: ${messageOf(error)}`);
      process.exitCode = 1;
    });
    process.exit();
  }

  function onSignal(): void {
    if (firstSignalAt !== null && Date.now() - firstSignalAt > SAME_SIGNAL_MS)
      process.exit(EXIT_AT_ONCE);
    firstSignalAt ??= Date.now();
    void stop();
  }

  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return (reason) => {
    if (isStopping) return;
    console.error(`cellhouse: ${reason}`);
    process.exitCode = 1;
    void stop();
  };
}

/**
 * How much the heap may grow between two full collections. By default V8 lets a heap of this size grow fourfold: with a
 * thousand subscribers that was 160 MB of text already sent. Growth by half costs no measurable time.
 */
const HEAP_GROWING_PERCENT = 50;

/** Makes this process collect garbage before much of it has gathered. */
export function limitHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
}

/**
 * How many bytes of a function's bytecode run before V8 considers optimizing it. The default is 67,584. Most functions
 * of a gateway run once per call, so with the default it took thousands of calls until they were fast. With a smaller
 * budget, V8 would know too little about a function.
 * Checked against V8 11.3 (Node 20). Checked against V8 13.6 (Node 24): it counts calls instead, and has no such flag.
 */
const INTERRUPT_BUDGET_BYTES = 10_000;
/** The last major version of V8 that has the flag. */
const LAST_V8 = 11;

/**
 * Makes this process reach full speed after hundreds of calls instead of thousands. Newer versions of V8 need no flag.
 */
export function optimizeEarly(): void {
  if (Number.parseInt(process.versions.v8, 10) > LAST_V8) return;
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET_BYTES}`);
}

/**
 * The interval between samples of the event loop's lag. Each sample wakes the process. The value of a sample is the lag
 * plus this interval.
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
  new Gauge({
    name: 'cellhouse_heap_limit_bytes',
    help: 'How large the heap of V8 may become. Beyond it, the process ends.',
    registers: [register],
  }).set(getHeapStatistics().heap_size_limit);
  return () => register.metrics();
}
