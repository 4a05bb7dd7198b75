/** What each part of an installation has had of the CPUs. */
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

/** @param container of the one worker that counts. @throws Error when it has no agent or no kernel that this machine sees */
export function readCpuTimes(gateway: TestGateway, container: string): () => CpuTimes {
  const { agent, kernel } = containerProcesses(container);
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

/** Of processes that come and go; one that has gone counts with what it had when it was looked at last. */
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
