import { readFileSync } from 'node:fs';

const KIB_PER_MIB = 1024;

/**
 * What a process has in memory, in MiB: all of it, the most that it ever had, or its anonymous part alone (heap and stacks,
 * whether or not a fork shares them; no file's pages, which come and go with those of its neighbours).
 * @throws Error when the process has ended
 */
export function processMemory(pid: number, field: 'VmRSS' | 'VmHWM' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  if (kib === undefined) throw new Error(`There is no ${field} of process ${pid}.`);
  return Number(kib) / KIB_PER_MIB;
}
