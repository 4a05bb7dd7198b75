/** Reads all figures of a soak at one moment. */
import { readdirSync } from 'node:fs';
import { containerProcesses } from '../../chaos/world/containerProcesses.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { processMemory } from '../../testkit/processMemory.ts';
import type { Look } from './figures.ts';
import type { Inspector } from './inspector.ts';

const BYTES_PER_MIB = 1_048_576;

export interface LookDeps {
  readonly gateway: TestGateway;
  readonly inspector: Inspector;
  /** The containers whose agents are inspected. */
  readonly containers: readonly string[];
  /** `performance.now()` at the beginning of the run. */
  readonly startedAt: number;
}

/** @throws Error unless this is root, because agents run as another user */
export async function takeLook({
  gateway,
  inspector,
  containers,
  startedAt,
}: LookDeps): Promise<Look> {
  const { liveBytes, handles } = await inspector.look();
  const pids = containers.flatMap(agentPids);
  const mean = (of: (pid: number) => number) =>
    pids.reduce((sum, pid) => sum + of(pid), 0) / containers.length;
  return {
    minute: (performance.now() - startedAt) / 60_000,
    heap: liveBytes / BYTES_PER_MIB,
    rss: processMemory(gateway.pid, 'VmRSS'),
    handles,
    fds: openFiles(gateway.pid),
    agentMemory: mean((pid) => processMemory(pid, 'RssAnon')),
    agentFds: mean(openFiles),
  };
}

/** The agent and its fork server. The kernel does not count, because user code determines what it holds. */
function agentPids(container: string): number[] {
  const { agent, forkServer } = containerProcesses(container);
  if (agent === null || forkServer === null)
    throw new Error(`Container ${container} has no agent, or no fork server.`);
  return [agent, forkServer];
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
