import { readdirSync, readFileSync } from 'node:fs';

const NS_PER_MS = 1_000_000;

/**
 * What all threads of a process have had of the CPUs so far, in milliseconds. Of a thread that has ended nothing is known, so it is for
 * processes whose threads stay. `/proc/PID/stat` counts in hundredths of a second, which is more than some of what is measured.
 * @throws Error when the process has ended
 */
export function cpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const ns = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ns.reduce((sum, each) => sum + each, 0) / NS_PER_MS;
}
