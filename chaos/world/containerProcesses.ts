/** Finds the processes of one container in the machine's /proc, which works without the engine. */
import { readdirSync, readFileSync } from 'node:fs';
import { hasCode } from '../../src/domain/errors.ts';

/** The users of `worker-image/Dockerfile`. */
const AGENT_UID = 64_001;
const KERNEL_UID = 64_002;
/** The index of the start time, in clock ticks since boot, among the fields of /proc/PID/stat that follow the name. */
const START_FIELD = 19;

export interface ContainerProcesses {
  /** The agent's Python process, not the init process above it. */
  readonly agent: number | null;
  /** The process that kernels are forked from. */
  readonly forkServer: number | null;
  /** The agent's children for files and for commands. */
  readonly helpers: readonly number[];
  /** The reapers of kernels. */
  readonly reapers: readonly number[];
  /** Other processes of the agent's user, such as reapers of commands. */
  readonly others: readonly number[];
  /** The two of `others` that wait: the process that becomes the next command, and its reaper. */
  readonly waiting: readonly number[];
  /** All processes of the user of kernels and commands. */
  readonly ofUser: readonly number[];
}

export function containerProcesses(containerId: string): ContainerProcesses {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => factsOf(pid) ?? [])
    .filter(({ cgroup }) => cgroup.includes(containerId))
    .sort((a, b) => a.start - b.start);
  const ofAgent = found.filter(
    ({ uid, command }) => uid === AGENT_UID && !/^\S*tini /.test(command),
  );
  // The agent's forks have the same command line, but are younger. So the first match is the agent.
  const agent = ofAgent.find(({ command }) => /^\S*python3 .*\bcellhouse_agent\b/.test(command));
  const isForkServer = ({ command }: Facts) => /\bcellhouse_kernel\.fork_server\b/.test(command);
  const isReaper = ({ command }: Facts) => /\breaper\.py\b/.test(command);
  const rest = ofAgent.filter((each) => each !== agent && !isForkServer(each) && !isReaper(each));
  const isHelper = ({ parent }: Facts) => parent === agent?.pid;
  const others = rest.filter((each) => !isHelper(each));
  // A running command has another user. So a child of a reaper that has the agent's user still waits for a command.
  const next = others.find(({ parent }) => others.some(({ pid }) => pid === parent));
  return {
    agent: agent?.pid ?? null,
    forkServer: ofAgent.find(isForkServer)?.pid ?? null,
    helpers: rest.filter(isHelper).map(({ pid }) => pid),
    reapers: ofAgent.filter(isReaper).map(({ pid }) => pid),
    others: others.map(({ pid }) => pid),
    waiting: next ? [next.pid, next.parent] : [],
    ofUser: found.filter(({ uid }) => uid === KERNEL_UID).map(({ pid }) => pid),
  };
}

type Facts = NonNullable<ReturnType<typeof factsOf>>;

function factsOf(pid: string) {
  try {
    const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
    const status = read('status');
    const stat = read('stat');
    return {
      pid: Number(pid),
      cgroup: read('cgroup'),
      command: read('cmdline').replaceAll('\0', ' '),
      uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]),
      parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]),
      start: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD]),
    };
  } catch (error: unknown) {
    // The process has ended meanwhile.
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return null;
    throw error;
  }
}
