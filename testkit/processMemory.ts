import { readFileSync } from 'node:fs';

const KIB_PER_MIB = 1024;

/**
 * The memory of a process in MiB: `VmRSS` is all resident memory, `VmHWM` its highest value so far, and `RssAnon` the
 * anonymous part. The anonymous part is heap and stacks, including pages that are shared with a fork. It excludes pages
 * of files, because their number depends on other processes.
 * @throws Error if the process has ended
 */
export function processMemory(pid: number, field: 'VmRSS' | 'VmHWM' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  if (kib === undefined) throw new Error(`There is no ${field} of process ${pid}.`);
  return Number(kib) / KIB_PER_MIB;
}
