/** Measures the test's own process and machine: memory after a garbage collection, and waiting for a CPU. */

import { existsSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Runs Node's garbage collector now. */
export const collectGarbage = runInNewContext('gc') as () => void;

/** The size of the heap and of the buffers outside it after garbage collection, in bytes. */
export function liveBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

const PRESSURE = '/proc/pressure/cpu';

/**
 * How many milliseconds some runnable task has had to wait for a CPU since the machine started (Linux's pressure stall
 * information). A test of promptness subtracts the stall, since a busy machine is not the program's fault. 0 where
 * Linux does not report it.
 */
export function cpuStallMs(): number {
  if (!existsSync(PRESSURE)) return 0;
  const total = /^some .* total=(\d+)$/m.exec(readFileSync(PRESSURE, 'utf8'))?.[1];
  return Number(total ?? 0) / 1_000;
}
