/**
 * A runtime whose workers live in this process, with real sockets and the real protocol, but without containers and
 * Python. So a property test can have hundreds of them. Only {@link HOLD} and `READ` (programmedKernels.ts) take time;
 * any other code ends at once.
 */
import type { PoolId } from '../../src/domain/ids.ts';
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/workerSocket.ts';
import {
  type BuildListener,
  BuildStepError,
  type ImageBuild,
  type Images,
} from '../../src/runtime/images.ts';
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
  /** Returns what code prints. Null: nothing. */
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

// Images that exist only in this process. The test decides what a build prints and how it ends.

interface ProgrammedBuild {
  readonly build: ImageBuild;
  /** Adds to the output of the build. */
  print(text: string): void;
  /** The build succeeds. */
  succeed(imageId: string, bytes?: number): void;
  /** A program of this step fails. */
  fail(step: number, exitCode?: number): void;
  /** The build fails for a reason other than a step. */
  breakOff(error: Error): void;
  readonly signal: AbortSignal;
}

export interface ProgrammedImages {
  readonly images: Images;
  /** Every build that was begun. Each goes on until the test ends it, or its signal is aborted. */
  readonly builds: ProgrammedBuild[];
  /** All images: by the id of an image, the version of an environment that it was built for. */
  readonly all: Map<string, ImageBuild['environmentId']>;
  /** The names of images that count as used. */
  readonly used: string[];
  /** Resolves with the `count`-th build, counted from 1, once it has begun. */
  begun(count: number): Promise<ProgrammedBuild>;
}

const BASE_BYTES = 1_000;

export function createProgrammedImages(): ProgrammedImages {
  const builds: ProgrammedBuild[] = [];
  const all = new Map<string, ImageBuild['environmentId']>();
  const used: string[] = [];
  const waiting = new Set<() => void>();

  const build: Images['build'] = (asked, listener) =>
    new Promise((resolve, reject) => {
      const { onText, signal }: BuildListener = listener;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      builds.push({
        ...{ build: asked, print: onText, signal },
        succeed: (imageId, bytes = 2 * BASE_BYTES) => {
          all.set(imageId, asked.environmentId);
          resolve({ imageId, bytes });
        },
        breakOff: reject,
        fail: (step, exitCode = 1) =>
          reject(new BuildStepError(step, `The command of step ${step} failed`, exitCode)),
      });
      for (const wake of [...waiting]) wake();
    });

  return {
    builds,
    all,
    used,
    images: {
      labels: ({ environmentId }) => `LABEL environment=${environmentId}`,
      build,
      bytesOf: async (id) => (id.startsWith('sha256:') && !all.has(id) ? null : BASE_BYTES),
      list: async () => [...all].map(([imageId, environmentId]) => ({ imageId, environmentId })),
      noteUse: async (_, name) => void used.push(name),
      remove: async (imageId) => {
        all.delete(imageId);
        return true;
      },
    },
    begun: (count) =>
      new Promise((resolve) => {
        const look = () => {
          const found = builds[count - 1];
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}
