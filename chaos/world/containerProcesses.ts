/** The processes of one container, found as the machine sees them: that needs no engine. */
import { readdirSync, readFileSync } from 'node:fs';

/** The users of `worker-image/Dockerfile`. */
const AGENT_UID = 64_001;
const KERNEL_UID = 64_002;

export interface ContainerProcesses {
  /** Python's, not the init process above it. */
  readonly agent: number | null;
  readonly kernel: readonly number[];
}

export function containerProcesses(containerId: string): ContainerProcesses {
  let agent: number | null = null;
  const kernel: number[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const facts = factsOf(pid);
    if (!facts?.cgroup.includes(containerId)) continue;
    if (facts.uid === KERNEL_UID) kernel.push(Number(pid));
    if (facts.uid === AGENT_UID && /\bcellhouse_agent\b/.test(facts.command) && !facts.isInit)
      agent = Number(pid);
  }
  return { agent, kernel };
}

function factsOf(pid: string) {
  try {
    const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
    const command = read('cmdline').replaceAll('\0', ' ');
    return {
      cgroup: read('cgroup'),
      command,
      isInit: /^\S*(tini|docker-init) /.test(command),
      uid: Number(/^Uid:\s+(\d+)/m.exec(read('status'))?.[1]),
    };
  } catch {
    // Gone meanwhile.
    return null;
  }
}
