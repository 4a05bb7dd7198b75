/**
 * The interface to the system that runs workers, such as a Docker engine. It is small on purpose: another runtime only
 * has to implement these few calls. The runtime limits the time of every call, and retries none.
 */

import type { Config } from '../config/config.ts';
import type { AgentAddress } from '../domain/agentAddress.ts';
import type { PoolId, WorkerId } from '../domain/ids.ts';
import type { LostReason, Worker, WorkerLimits } from '../domain/worker.ts';

export interface WorkerSpec {
  readonly workerId: WorkerId;
  readonly poolId: PoolId;
  readonly name: string;
  readonly imageId: string;
  readonly limits: WorkerLimits;
  /** The agent's settings (docs/internals/worker-protocol.md, "Container environment"). */
  readonly environment: Readonly<Record<string, string>>;
}

/** The facts to record about a created worker. */
export interface MadeWorker {
  readonly containerId: string;
  /** Where its agent will listen. Only {@link Runtime.addressOf} understands it. */
  readonly location: string;
}

/** The ids by which everything that belongs to a worker can be found. */
export interface WorkerParts {
  readonly poolId: PoolId;
  /** Null if unknown. */
  readonly workerId: WorkerId | null;
  /** Null if there is no container, or if its id is unknown. */
  readonly containerId: string | null;
}

/** A container in a list. */
export interface ListedWorker {
  readonly containerId: string;
  /** Read from its label. Null if the label is missing or is not an id. */
  readonly workerId: WorkerId | null;
  readonly isRunning: boolean;
}

/** The present state of a container. */
export interface InspectedWorker extends ListedWorker {
  /** Null while it runs. */
  readonly end: ContainerEnd | null;
}

/** How a container ended. */
export interface ContainerEnd {
  /** `engine-restarted`: it did not end by itself, but because the engine or the machine stopped. */
  readonly reason: Extract<LostReason, 'exited' | 'oom' | 'engine-restarted'>;
  readonly exitCode: number | null;
}

export interface Engine {
  /** Identifies the engine. It changes when the engine's data is wiped. */
  readonly id: string;
  /** Whether containers keep running while the engine is down (Docker's live-restore). */
  readonly keepsContainers: boolean;
  /** The names of the OCI runtimes that it can run containers with. */
  readonly ociRuntimes: readonly string[];
}

/** The known reasons why a runtime cannot do what it is asked. */
export type RuntimeFailure = 'engine-away' | 'other-engine' | 'image-missing' | 'disk-full';

export class RuntimeError extends Error {
  readonly kind: RuntimeFailure;
  constructor(kind: RuntimeFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RuntimeError';
    this.kind = kind;
  }
}

/** Whether no engine answers, or the engine is not the pool's. In both cases nothing is known about containers. */
export function isEngineAway(error: unknown): boolean {
  return error instanceof RuntimeError && ['engine-away', 'other-engine'].includes(error.kind);
}

/** The error if the engine that answers is not the one that the workers are on. Its message is for the operator. */
export function otherEngine(engineId: string, found: Engine, address: string): RuntimeError {
  return new RuntimeError(
    'other-engine',
    `This installation's workers are on the Docker engine ${engineId}; the one at ${address} is ${found.id}. Set DOCKER_HOST to the former, or start on another DATA_DIR or DATABASE_URL.`,
  );
}

/**
 * Checks that the engine has the OCI runtime DOCKER_RUNTIME. The engine accepts the full name of a shim
 * (`io.containerd.`...) without configuration.
 * @throws Error that says what to do
 */
export function requireRuntime(
  { ociRuntimes }: Engine,
  { dockerRuntime, dockerSocketPath }: Pick<Config, 'dockerRuntime' | 'dockerSocketPath'>,
): void {
  if (ociRuntimes.includes(dockerRuntime) || dockerRuntime.startsWith('io.containerd.')) return;
  throw new Error(
    `DOCKER_RUNTIME is ${dockerRuntime}, but the Docker engine at ${dockerSocketPath} has only: ${ociRuntimes.join(', ')}. For runsc (gVisor) run, as root: node scripts/setup-runsc.mjs`,
  );
}

export interface RuntimeListener {
  /** A worker's container has ended, or is gone. @param exitCode null if unknown */
  readonly onEnd: (containerId: string, exitCode: number | null) => void;
  /**
   * The engine sends no events any more, or another engine answers in its place (`other-engine`). The runtime tries
   * again until the engine is back.
   */
  readonly onAway: (error: RuntimeError) => void;
  /** The engine sends events from now on. Earlier ends may have been missed, so the caller must list the containers. */
  readonly onBack: () => void;
}

/** A worker's share of contended CPUs: the same as every other worker's, or a quarter of that. */
export type CpuShare = 'full' | 'yielding';

/**
 * The runtime of one pool, on the engine that the pool was made on. It leaves alone any other engine that answers in
 * its place. Every method throws a {@link RuntimeError} if the kind of failure is known.
 */
export interface Runtime {
  /** Recorded with each worker, e.g. `docker/runc`. */
  readonly name: string;
  /** The immutable id of the image that `reference` names now. */
  imageId(reference: string): Promise<string>;
  /**
   * Creates and starts a worker. If this fails, everything that it has created is removed, at the latest by the next
   * sweep.
   */
  create(spec: WorkerSpec): Promise<MadeWorker>;
  /** How the worker's agent is reached, from its recorded state. Null if the worker was never started. */
  addressOf(worker: Pick<Worker, 'socketPath'>): AgentAddress | null;
  /** All containers with the pool's label, in any state. */
  list(poolId: PoolId): Promise<ListedWorker[]>;
  /** Null if there is no such container. */
  inspect(containerId: string): Promise<InspectedWorker | null>;
  /** Does nothing if the container is gone, or if the runtime cannot change its share. */
  setCpuShare(containerId: string, share: CpuShare): Promise<void>;
  /** Kills a worker and removes everything that belongs to it. Idempotent. */
  remove(parts: WorkerParts): Promise<void>;
  /** Reports on the pool's containers until the returned handle is closed. The same end may be reported twice. */
  watch(poolId: PoolId, listener: RuntimeListener): { close(): void };
}

/** The configured resource limits of each worker. */
export function workerLimits(config: Config): WorkerLimits {
  return {
    memoryMb: config.workerMemoryMb,
    diskMb: config.workerDiskMb,
    cpus: config.workerCpus,
    pids: config.workerPids,
  };
}
