/**
 * A runtime whose workers live in this process, with real sockets and the real protocol, but without containers and
 * Python. So a property test can have hundreds of them. Only the code {@link HOLD} takes time; any other code ends at
 * once.
 */

import type { PoolId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/socketAddress.ts';
import type { ListedWorker, Runtime } from '../../src/runtime/runtime.ts';
import { type ProgrammedKernels, runKernels } from './programmedKernels.ts';
import { startScriptedAgent } from './scriptedAgent.ts';

/** Code that runs until it is interrupted or released. */
export const HOLD = 'hold';

export interface ProgrammedRuntime {
  readonly runtime: Runtime;
  /** Ids of the executions that were begun, over all workers. An execution that was begun twice is listed twice. */
  readonly begun: readonly string[];
  /** The environment variables that the kernel had when it began an execution, by the execution's id. */
  readonly variables: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** The folder that an execution asked for, by its id. */
  readonly directories: ReadonlyMap<string, string | undefined>;
  /** The sizes that terminals were given, over all workers. */
  readonly sizes: readonly string[];
  /** While it is set, every agent answers requests to set variables with this status. */
  variablesStatus: number | null;
  /** While it is set, no agent can start a kernel of a context. */
  hasNoKernels: boolean;
  /**
   * While it is set, the worker image has another id, and new workers have an agent of a former release. Such an agent
   * names no features, and reports no process ids of commands.
   */
  isFormer: boolean;
  /** What code prints, if it prints anything. */
  printed: (code: string) => string | null;
  /** The images of the workers that were made, in their order. */
  readonly imagesUsed: readonly string[];
  /** The agents of these workers leave calls unanswered until the list is emptied. They still run code. */
  readonly frozen: string[];
  /** No worker of these images can be started until the list is emptied. */
  readonly brokenImages: string[];
  /** From now on {@link HOLD} runs until it is released. */
  hold(): void;
  /** Releases all held executions; from now on {@link HOLD} ends at once, too. */
  letGo(): void;
  close(): Promise<void>;
}

export function createProgrammedRuntime(): ProgrammedRuntime {
  const containers = new Map<
    string,
    {
      readonly poolId: PoolId;
      readonly listed: ListedWorker;
      readonly kernels: ProgrammedKernels;
    }
  >();
  const begun: string[] = [];
  const variables = new Map<string, Readonly<Record<string, string>>>();
  const directories = new Map<string, string | undefined>();
  const sizes: string[] = [];
  const imagesUsed: string[] = [];
  const frozen: string[] = [];
  const brokenImages: string[] = [];
  let isHolding = false;

  async function end(containerId: string): Promise<void> {
    const found = containers.get(containerId);
    containers.delete(containerId);
    await found?.kernels.agent.close();
  }

  const runtime: Runtime = {
    name: 'programmed',
    imageId: async (reference) => (made.isFormer ? `${reference}-former` : reference),
    create: async ({ workerId, poolId, imageId }) => {
      if (brokenImages.includes(imageId)) throw new Error('The image is broken.');
      imagesUsed.push(imageId);
      const agent = await startScriptedAgent();
      const kernels = runKernels(agent, {
        isHeld: (code) => isHolding && code === HOLD,
        onBegin: (id, found) => {
          begun.push(id);
          variables.set(id, found.variables);
          directories.set(id, found.directory);
        },
        variablesStatus: () => made.variablesStatus,
        hasNoKernels: () => made.hasNoKernels,
        printed: (code) => made.printed(code),
        onResize: (size) => sizes.push(size),
        isFrozen: () => frozen.includes(workerId),
        isFormer: made.isFormer,
      });
      const containerId = newId();
      const listed = { containerId, workerId, isRunning: true };
      containers.set(containerId, { poolId, listed, kernels });
      return { containerId, location: agent.socketPath };
    },
    addressOf: ({ socketPath }) => (socketPath === null ? null : socketAddress(socketPath)),
    list: async (poolId) =>
      [...containers.values()].filter((each) => each.poolId === poolId).map(({ listed }) => listed),
    inspect: async (id) => {
      const found = containers.get(id);
      return found ? { ...found.listed, end: null } : null;
    },
    setCpuShare: async () => undefined,
    remove: async ({ containerId }) => {
      if (containerId !== null) await end(containerId);
    },
    watch: () => ({ close: () => undefined }),
  };
  const made: ProgrammedRuntime = {
    runtime,
    begun,
    variables,
    directories,
    sizes,
    variablesStatus: null,
    hasNoKernels: false,
    printed: () => null,
    imagesUsed,
    frozen,
    brokenImages,
    isFormer: false,
    hold: () => {
      isHolding = true;
    },
    letGo: () => {
      isHolding = false;
      for (const { kernels } of containers.values()) kernels.letGo();
    },
    close: async () => {
      await Promise.all([...containers.keys()].map(end));
    },
  };
  return made;
}
