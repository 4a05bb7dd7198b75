/** Finds the processes of one container in the machine's /proc, which works without the engine. */
import { readdirSync, readFileSync } from 'node:fs';
import { hasCode } from '../../src/domain/errors.ts';

/** The users of `worker-image/Dockerfile`. */
const AGENT_UID = 64_001;
const KERNEL_UID = 64_002;

export interface ContainerProcesses {
  /** The agent's Python process, not the init process above it. */
  readonly agent: number | null;
  /** The process that kernels are forked from. */
  readonly forkServer: number | null;
  readonly kernel: readonly number[];
}

export function containerProcesses(containerId: string): ContainerProcesses {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => factsOf(pid) ?? [])
    .filter(({ cgroup }) => cgroup.includes(containerId));
  const ofAgent = (module: RegExp) =>
    found.find(({ uid, command }) => uid === AGENT_UID && module.test(command))?.pid ?? null;
  return {
    agent: ofAgent(/^\S*python3 .*\bcellhouse_agent\b/),
    forkServer: ofAgent(/\bcellhouse_kernel\.fork_server\b/),
    kernel: found.filter(({ uid }) => uid === KERNEL_UID).map(({ pid }) => pid),
  };
}

function factsOf(pid: string) {
  try {
    const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
    return {
      pid: Number(pid),
      cgroup: read('cgroup'),
      command: read('cmdline').replaceAll('\0', ' '),
      uid: Number(/^Uid:\s+(\d+)/m.exec(read('status'))?.[1]),
    };
  } catch (error: unknown) {
    // The process has ended meanwhile.
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return null;
    throw error;
  }
}
