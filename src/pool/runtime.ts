/**
 * Where workers run. Small on purpose: a further runtime implements these few calls and the rest of the pool stays as it
 * is. All calls have a limit on the runtime's side; none of them retries.
 */
import type { WorkerLimits } from '../events/eventTypes.ts';
import type { PoolId, WorkerId } from '../ids.ts';

export interface WorkerSpec {
  readonly workerId: WorkerId;
  readonly poolId: PoolId;
  readonly name: string;
  readonly imageId: string;
  readonly limits: WorkerLimits;
  /** Folder that only this worker mounts; its agent puts `agent.sock` there. Made by {@link Runtime.create}. */
  readonly socketDir: string;
  /** The agent's settings (docs/worker-protocol.md, "Container environment"). */
  readonly environment: Readonly<Record<string, string>>;
}

/** A container as the engine has it now. */
export interface RunningWorker {
  readonly containerId: string;
  /** From its label; null if it bears none that is an id. */
  readonly workerId: WorkerId | null;
  readonly isRunning: boolean;
  /** Null while it runs. */
  readonly exitCode: number | null;
  readonly wasOutOfMemory: boolean;
}

export interface Runtime {
  /** Recorded with each worker, e.g. `docker/runc`. */
  readonly name: string;
  /** What tells this engine from any other; changes when its data is wiped. */
  engineId(): Promise<string>;
  /** The immutable id of the image that `reference` names now. @throws Error that says how to make the image */
  imageId(reference: string): Promise<string>;
  /** Creates and starts a worker. On failure nothing of it is left. @returns the container's id */
  create(spec: WorkerSpec): Promise<string>;
  /** All containers that bear the pool's label, whatever their state. */
  list(poolId: PoolId): Promise<RunningWorker[]>;
  /** Null: there is no such container. */
  inspect(containerId: string): Promise<RunningWorker | null>;
  /** Kills and removes; one that is gone already is no error. */
  remove(containerId: string): Promise<void>;
  /**
   * Calls `onEnd` with the container id of each worker of the pool that dies, and `onGap` whenever deaths may have been
   * missed (the engine's event stream broke and is back): then the caller lists. Ends on `close()` of the returned handle.
   */
  watch(poolId: PoolId, onEnd: (containerId: string) => void, onGap: () => void): { close(): void };
}
