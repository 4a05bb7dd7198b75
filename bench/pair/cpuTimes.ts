/** How much CPU time each part of an installation has used. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerProcesses } from '../../chaos/world/containerProcesses.ts';
import { hasCode } from '../../src/domain/errors.ts';
import type { TestGateway } from '../../testkit/gateway.ts';
import { cpuMs } from '../support/cpuMs.ts';

export const PARTS = [
  'the gateway',
  'PostgreSQL',
  'the agent',
  'the kernel',
  'all of them',
] as const;
/** Milliseconds so far. */
export type CpuTimes = Readonly<Record<(typeof PARTS)[number], number>>;

/**
 * @param container the id of the container of the only worker that counts
 * @throws Error if this machine's /proc does not show the agent or the kernel in that container
 */
export function readCpuTimes(gateway: TestGateway, container: string): () => CpuTimes {
  const { agent, ofUser: kernel } = containerProcesses(container);
  if (agent === null || kernel.length === 0)
    throw new Error(`No agent or no kernel of container ${container} is to be seen.`);
  const file = join(gateway.dataDir, 'postgres/data/postmaster.pid');
  const postmaster = Number(readFileSync(file, 'utf8').split('\n', 1)[0]);
  const ofPostgres = addUp(() => [postmaster, ...childrenOf(postmaster)]);
  const ofKernel = addUp(() => kernel);
  return () => {
    const times = {
      'the gateway': cpuMs(gateway.pid),
      PostgreSQL: ofPostgres(),
      'the agent': cpuMs(agent),
      'the kernel': ofKernel(),
    };
    return { ...times, 'all of them': Object.values(times).reduce((sum, each) => sum + each, 0) };
  };
}

/** Adds up the CPU times of processes that come and go. One that has ended counts with the last time that was read. */
function addUp(pids: () => readonly number[]): () => number {
  const seen = new Map<number, number>();
  return () => {
    for (const pid of pids()) {
      try {
        seen.set(pid, cpuMs(pid));
      } catch (error: unknown) {
        if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ESRCH')) throw error;
      }
    }
    return [...seen.values()].reduce((sum, each) => sum + each, 0);
  };
}

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}
