import { readFileSync } from 'node:fs';

const KIB_PER_MIB = 1024;

/**
 * The proportional set size of a process: memory that processes share is divided among them.
 * @throws Error if this is not root, or if the process has ended
 */
export function pssMib(pid: number): number {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  if (kib === undefined) throw new Error(`There is no PSS of process ${pid}.`);
  return Number(kib) / KIB_PER_MIB;
}
