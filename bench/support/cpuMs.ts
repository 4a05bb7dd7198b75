import { readdirSync, readFileSync } from 'node:fs';

const NS_PER_MS = 1_000_000;

/**
 * The CPU time that the present threads of a process have used so far, in milliseconds. Threads that have ended do not
 * count, so use this for processes whose threads stay. (`/proc/PID/stat` would include them, but it counts in
 * hundredths of a second, and some measured times are shorter.)
 * @throws Error if the process has ended
 */
export function cpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const ns = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ns.reduce((sum, each) => sum + each, 0) / NS_PER_MS;
}
