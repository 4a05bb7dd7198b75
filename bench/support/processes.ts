/** What the host shows of the processes of a container: which there are, and their CPU time and memory. */
import { readdirSync, readFileSync } from 'node:fs';
import Docker from 'dockerode';

export interface ProcessInfo {
  /** The process id on the host. */
  readonly pid: number;
  readonly command: string;
}

/** The processes of a running container, its init first. @throws Error if there is no such container */
export async function listProcesses(container: string): Promise<ProcessInfo[]> {
  const columns = '-eo pid,args';
  const { Processes } = await new Docker().getContainer(container).top({ ps_args: columns });
  return (Processes as string[][]).map(([pid = '', command = '']) => ({
    pid: Number(pid),
    command,
  }));
}

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
