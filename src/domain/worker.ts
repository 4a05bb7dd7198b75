/**
 * The life of a worker.
 *
 * ```
 *  (none) --request--> REQUESTED --started--> STARTING --ready--> IDLE --assign--> ASSIGNED
 *                          |                     |                 |                  |
 *                          +---------------------+----- lose ------+------------------+--> LOST ----+
 *                                                |                 |                  |             +-- removed --> REMOVED
 *                          +---------------------+---- retire -----+------------------+--> RETIRED -+
 * ```
 * A worker serves only one session: nothing leads from ASSIGNED back to IDLE. REMOVED means that the container is gone.
 * WorkerRemoved is the last event of the stream. Ending a worker that has already ended records nothing, so two
 * gateways may both try. A loss with reason `create-failed` also records nothing once the worker is IDLE or ASSIGNED:
 * its start succeeded after all. Any other command that does not fit the state throws a {@link WrongStateError}.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { EnvironmentId, PoolId, SessionId, WorkerId } from './ids.ts';

/**
 * The home of user code in a worker, and its working folder at the start of each kernel. The worker image contains the
 * same path.
 */
export const WORKER_HOME = '/home/user';

export interface WorkerLimits {
  readonly memoryMb: number;
  readonly diskMb: number;
  readonly cpus: number;
  readonly pids: number;
}

export type RetireReason = 'released' | 'idle' | 'expired' | 'shutdown' | 'recycled';
export type LostReason = 'exited' | 'oom' | 'unreachable' | 'create-failed' | 'engine-restarted';

export type WorkerEvent =
  | Event<
      'WorkerRequested',
      {
        workerId: WorkerId;
        poolId: PoolId;
        name: string;
        imageId: string;
        runtime: string;
        limits: WorkerLimits;
        /**
         * The version of the environment whose image it has. Left out if it has the worker image, without an
         * environment.
         */
        environmentId?: EnvironmentId;
      }
    >
  | Event<'WorkerStarted', { containerId: string; socketPath: string }>
  | Event<'WorkerReady', { readyMs: number }>
  | Event<'WorkerAssigned', { sessionId: SessionId }>
  | Event<'WorkerRetired', { reason: RetireReason }>
  | Event<'WorkerLost', { reason: LostReason; exitCode: number | null; detail: string | null }>
  | Event<'WorkerRemoved', Record<never, never>>;

/** The worker is ready and has not ended, so it has a kernel that answers. */
export function isLive({ state }: Pick<Worker, 'state'>): boolean {
  return state === 'IDLE' || state === 'ASSIGNED';
}

/** The worker's end is recorded. Its container may still exist. */
export function isOver({ state }: Pick<Worker, 'state'>): boolean {
  return state === 'RETIRED' || state === 'LOST' || state === 'REMOVED';
}

/** The state that a worker's events fold into, which is also its row in the table. `version` is that of its stream. */
export interface Worker {
  readonly id: WorkerId;
  readonly version: number;
  readonly poolId: PoolId;
  readonly state: 'REQUESTED' | 'STARTING' | 'IDLE' | 'ASSIGNED' | 'RETIRED' | 'LOST' | 'REMOVED';
  readonly name: string;
  readonly imageId: string;
  readonly runtime: string;
  readonly limits: WorkerLimits;
  /** The version of the environment whose image it has. Null if it has the worker image, without an environment. */
  readonly environmentId: EnvironmentId | null;
  readonly containerId: string | null;
  readonly socketPath: string | null;
  readonly sessionId: SessionId | null;
  readonly requestedAt: Date;
  readonly startedAt: Date | null;
  readonly readyAt: Date | null;
  readonly readyMs: number | null;
  readonly assignedAt: Date | null;
  /** When the worker was retired or lost. */
  readonly endedAt: Date | null;
  readonly endReason: RetireReason | LostReason | null;
  readonly exitCode: number | null;
  readonly removedAt: Date | null;
}

export type WorkerCommand = { readonly at: string } & (
  | {
      readonly type: 'RequestWorker';
      readonly workerId: WorkerId;
      readonly poolId: PoolId;
      readonly name: string;
      readonly imageId: string;
      readonly runtime: string;
      readonly limits: WorkerLimits;
      readonly environmentId: EnvironmentId | null;
    }
  | { readonly type: 'RecordStart'; readonly containerId: string; readonly socketPath: string }
  | { readonly type: 'RecordReady'; readonly readyMs: number }
  | { readonly type: 'AssignWorker'; readonly sessionId: SessionId }
  | { readonly type: 'RetireWorker'; readonly reason: RetireReason }
  | {
      readonly type: 'RecordLoss';
      readonly reason: LostReason;
      readonly exitCode: number | null;
      readonly detail: string | null;
    }
  | { readonly type: 'RecordRemoval' }
);

/**
 * The events that a command on a worker records. Pure.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideWorker(command: WorkerCommand, worker: Worker | null): WorkerEvent[] {
  if (command.type === 'RequestWorker') {
    if (worker !== null) throw new WrongStateError('worker', worker.state, command.type);
    const { type: _, environmentId, ...facts } = command;
    const data = { ...facts, ...(environmentId && { environmentId }) };
    return [{ type: 'WorkerRequested', data }];
  }
  if (worker === null) throw new WrongStateError('worker', 'not requested', command.type);
  return decideExisting(command, worker);
}

function decideExisting(
  command: Exclude<WorkerCommand, { type: 'RequestWorker' }>,
  worker: Worker,
): WorkerEvent[] {
  const { at } = command;
  const ended = isOver(worker);
  const refuse = () => new WrongStateError('worker', worker.state, command.type);
  switch (command.type) {
    case 'RecordStart': {
      if (worker.state !== 'REQUESTED') throw refuse();
      const { containerId, socketPath } = command;
      return [{ type: 'WorkerStarted', data: { at, containerId, socketPath } }];
    }
    case 'RecordReady':
      if (worker.state !== 'STARTING') throw refuse();
      return [{ type: 'WorkerReady', data: { at, readyMs: command.readyMs } }];
    case 'AssignWorker':
      if (worker.state !== 'IDLE') throw refuse();
      return [{ type: 'WorkerAssigned', data: { at, sessionId: command.sessionId } }];
    case 'RetireWorker':
      return ended ? [] : [{ type: 'WorkerRetired', data: { at, reason: command.reason } }];
    case 'RecordLoss': {
      const { reason, exitCode, detail } = command;
      // One gateway gave up on this start while another completed it.
      if (reason === 'create-failed' && isLive(worker)) return [];
      return ended ? [] : [{ type: 'WorkerLost', data: { at, reason, exitCode, detail } }];
    }
    case 'RecordRemoval':
      if (worker.state === 'REMOVED') return [];
      if (!ended) throw refuse();
      return [{ type: 'WorkerRemoved', data: { at } }];
    default:
      return command satisfies never;
  }
}

/**
 * The worker after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
export function evolveWorker(state: Worker | null, event: WorkerEvent): Worker {
  if (event.type === 'WorkerRequested') return requested(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const at = new Date(event.data.at);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'WorkerStarted': {
      const { containerId, socketPath } = event.data;
      return { ...next, state: 'STARTING', containerId, socketPath, startedAt: at };
    }
    case 'WorkerReady':
      return { ...next, state: 'IDLE', readyAt: at, readyMs: event.data.readyMs };
    case 'WorkerAssigned':
      return { ...next, state: 'ASSIGNED', sessionId: event.data.sessionId, assignedAt: at };
    case 'WorkerRetired':
      return { ...next, state: 'RETIRED', endedAt: at, endReason: event.data.reason };
    case 'WorkerLost': {
      const { reason, exitCode } = event.data;
      return { ...next, state: 'LOST', endedAt: at, endReason: reason, exitCode };
    }
    case 'WorkerRemoved':
      return { ...next, state: 'REMOVED', removedAt: at };
    default:
      return event satisfies never;
  }
}

type Requested = Extract<WorkerEvent, { type: 'WorkerRequested' }>['data'];

function requested(data: Requested, version: number): Worker {
  return {
    id: data.workerId,
    version: version + 1,
    poolId: data.poolId,
    state: 'REQUESTED',
    name: data.name,
    imageId: data.imageId,
    runtime: data.runtime,
    limits: data.limits,
    environmentId: data.environmentId ?? null,
    containerId: null,
    socketPath: null,
    sessionId: null,
    requestedAt: new Date(data.at),
    startedAt: null,
    readyAt: null,
    readyMs: null,
    assignedAt: null,
    endedAt: null,
    endReason: null,
    exitCode: null,
    removedAt: null,
  };
}

/** The resources that a worker uses, as its agent reports them. */
export interface WorkerUsage {
  /** The time of a monotonic clock in the worker. From two reports, the CPU load between them can be computed. */
  readonly clockMs: number;
  /** CPU time since the worker's start. */
  readonly cpuMs: number;
  /**
   * Memory in use, without file cache that could be reclaimed. Files are included, because the worker's disks are in
   * memory (tmpfs).
   */
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  /** File cache that could be reclaimed. */
  readonly cacheBytes: number;
  /** Bytes on all disks that user code can write to. */
  readonly diskBytes: number;
  readonly diskLimitBytes: number;
  /** How many processes were killed because memory ran out. */
  readonly oomKills: number;
}
