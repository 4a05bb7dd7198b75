import { existsSync, readFileSync } from 'node:fs';

const PRESSURE = '/proc/pressure/cpu';

/**
 * For how long, since the machine started, something that could run had to wait for a CPU (Linux's pressure stall
 * information), in milliseconds. A test of promptness subtracts it: what the machine had no time for is not the program's
 * fault. 0 where Linux does not tell.
 */
export function cpuStallMs(): number {
  if (!existsSync(PRESSURE)) return 0;
  const total = /^some .* total=(\d+)$/m.exec(readFileSync(PRESSURE, 'utf8'))?.[1];
  return Number(total ?? 0) / 1_000;
}
