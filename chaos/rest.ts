/** What is left at the end of a run, when all faults are healed. */
import type { Verified } from '../src/events/chain/verifyChain.ts';

export interface RestRecord {
  /** While all gateways run and no client sends requests. */
  readonly serving: RestSnapshot;
  /** After SIGTERM to all gateways. */
  readonly stopped: RestSnapshot;
  /** After `cellhouse down`. */
  readonly down: RestSnapshot;
  /** What `cellhouse audit verify` finds while all gateways run, and at the end of everything. */
  readonly audit: { readonly serving: Verified; readonly down: Verified };
  /** The exit codes or signals of the gateways and of `cellhouse down`. All must be 0. */
  readonly exitCodes: readonly (number | string)[];
  /** Users whose last call got no answer, although all faults were healed. */
  readonly unserved: readonly string[];
}

export interface RestSnapshot {
  /** Worker ids in the labels of the engine's containers that have a pool's label. */
  readonly containers: readonly string[];
  /** Ids of workers that are not yet REMOVED. */
  readonly workers: readonly string[];
  /** Ids of executions that have not finished. */
  readonly unfinished: readonly string[];
  /** Names of the leases in force. */
  readonly leases: readonly string[];
  /** Names of the gateways' connections to the database. */
  readonly connections: readonly string[];
  /** The number of calls that wait for a worker, over all gateways. */
  readonly waiting: number;
  /** Worker ids that have a folder for a socket. */
  readonly socketFolders: readonly string[];
  /** The ids of images that were built for environments, and that no version has. */
  readonly images: readonly string[];
  /** What runs in each running container. */
  readonly processes: readonly WorkerProcesses[];
}

/** The processes in one worker while no code runs in it. */
export interface WorkerProcesses {
  readonly workerId: string;
  /** Its default context and the open contexts. Each has one kernel below one reaper, and nothing else is left. */
  readonly contexts: number;
  /** Processes of the user of kernels and commands. */
  readonly ofUser: number;
  /** Reapers of kernels. */
  readonly reapers: number;
  /** Processes of the agent's user that nothing at rest needs. One that waits to become the next command is no such. */
  readonly strangers: number;
}

/** Whether there is one kernel below one reaper for each context, and nothing else. */
export function isAsItShould({ contexts, ofUser, reapers, strangers }: WorkerProcesses): boolean {
  return ofUser === contexts && reapers === contexts && strangers === 0;
}
