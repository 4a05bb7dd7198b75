import { existsSync, readFileSync } from 'node:fs';

const PRESSURE = '/proc/pressure/cpu';

/**
 * For how many milliseconds since the machine started some runnable task had to wait for a CPU (Linux's pressure stall
 * information). A test of promptness subtracts the stall, since a busy machine is not the program's fault. 0 where
 * Linux does not report it.
 */
export function cpuStallMs(): number {
  if (!existsSync(PRESSURE)) return 0;
  const total = /^some .* total=(\d+)$/m.exec(readFileSync(PRESSURE, 'utf8'))?.[1];
  return Number(total ?? 0) / 1_000;
}
