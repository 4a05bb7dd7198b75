/**
 * Where workers run. Small on purpose: a further runtime implements these few calls and the rest of the pool stays as it
 * is. All calls have a limit on the runtime's side; none of them retries.
 */

import type { AgentAddress } from '../domain/agentAddress.ts';
import type { PoolId, WorkerId } from '../domain/ids.ts';
import type { LostReason, Worker, WorkerLimits } from '../domain/worker.ts';

export interface WorkerSpec {
  readonly workerId: WorkerId;
  readonly poolId: PoolId;
  readonly name: string;
  readonly imageId: string;
  readonly limits: WorkerLimits;
  /** The agent's settings (docs/worker-protocol.md, "Container environment"). */
  readonly environment: Readonly<Record<string, string>>;
}

/** What is recorded of a worker that was made. */
export interface MadeWorker {
  readonly containerId: string;
  /** Where its agent will be: of use to {@link Runtime.addressOf} only. */
  readonly location: string;
}

/** What names all that there may be of a worker. */
export interface WorkerParts {
  readonly poolId: PoolId;
  /** Null: not known. */
  readonly workerId: WorkerId | null;
  /** Null: there is none, or it is not known. */
  readonly containerId: string | null;
}

/** A container as a listing shows it. */
export interface ListedWorker {
  readonly containerId: string;
  /** From its label; null if it bears none that is an id. */
  readonly workerId: WorkerId | null;
  readonly isRunning: boolean;
}

/** A container as the engine has it now. */
export interface InspectedWorker extends ListedWorker {
  /** Null while it runs. */
  readonly end: ContainerEnd | null;
}

/** How a container ended. */
export interface ContainerEnd {
  /** `engine-restarted`: not by itself, but with the engine (or the machine) that ran it. */
  readonly reason: Extract<LostReason, 'exited' | 'oom' | 'engine-restarted'>;
  readonly exitCode: number | null;
}

export interface Engine {
  /** What tells this engine from any other; changes when its data is wiped. */
  readonly id: string;
  /** Containers run on while it is away, and are taken up again when it is back. */
  readonly keepsContainers: boolean;
  /** Names of what it can run containers with. */
  readonly ociRuntimes: readonly string[];
}

/** Why a runtime cannot do what it is asked, where that is known. */
export type RuntimeFailure = 'engine-away' | 'other-engine' | 'image-missing' | 'disk-full';

export class RuntimeError extends Error {
  readonly kind: RuntimeFailure;
  constructor(kind: RuntimeFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RuntimeError';
    this.kind = kind;
  }
}

/** Whether the pool's engine does not answer, or another does in its place: neither says anything of a container. */
export function isEngineAway(error: unknown): boolean {
  return error instanceof RuntimeError && ['engine-away', 'other-engine'].includes(error.kind);
}

/** What an operator is told when another engine answers than the one that the pool's workers are on. */
export function otherEngine(engineId: string, found: Engine, address: string): RuntimeError {
  return new RuntimeError(
    'other-engine',
    `This installation's workers are on the Docker engine ${engineId}; the one at ${address} is ${found.id}. Set DOCKER_HOST to the former, or start on another DATA_DIR or DATABASE_URL.`,
  );
}

export interface RuntimeListener {
  /** A worker's container has ended, or is gone. @param exitCode null: not known */
  readonly onEnd: (containerId: string, exitCode: number | null) => void;
  /** The engine tells nothing any more, or another answers in its place (`other-engine`). Tried again until it is back. */
  readonly onAway: (error: RuntimeError) => void;
  /** The engine tells from now on; ends before now may have been missed, so the caller lists. */
  readonly onBack: () => void;
}

/** What a worker gets of CPUs that others want too: as much as any other, or a quarter of that beside those that have just come. */
export type CpuShare = 'full' | 'yielding';

/**
 * The runtime of one pool, on the engine that the pool was made on: any other that answers in its place is left alone.
 * Every method throws {@link RuntimeError} where the failure is of a known kind.
 */
export interface Runtime {
  /** Recorded with each worker, e.g. `docker/runc`. */
  readonly name: string;
  /** The immutable id of the image that `reference` names now. */
  imageId(reference: string): Promise<string>;
  /** Creates and starts a worker. On failure nothing of it is left. */
  create(spec: WorkerSpec): Promise<MadeWorker>;
  /** How its agent is reached, from what is recorded of it. Null: it was never started. */
  addressOf(worker: Worker): AgentAddress | null;
  /** All containers that bear the pool's label, whatever their state. */
  list(poolId: PoolId): Promise<ListedWorker[]>;
  /** Null: there is no such container. */
  inspect(containerId: string): Promise<InspectedWorker | null>;
  /** One that the runtime cannot change, or that is gone, is no error. */
  setCpuShare(containerId: string, share: CpuShare): Promise<void>;
  /** Kills, and removes all that there is of a worker, container or not. Repeating it is no error. */
  remove(parts: WorkerParts): Promise<void>;
  /** Tells of the pool's containers until `close()` of the returned handle. The same end may be told twice. */
  watch(poolId: PoolId, listener: RuntimeListener): { close(): void };
}
