/**
 * The life of a worker.
 *
 * ```
 *  (none) --request--> REQUESTED --started--> STARTING --ready--> IDLE --assign--> ASSIGNED
 *                          |                     |                 |                  |
 *                          +---------------------+----- lose ------+------------------+--> LOST ----+
 *                                                |                 |                  |             +-- removed --> REMOVED
 *                                                +---- retire -----+------------------+--> RETIRED -+
 * ```
 * A worker serves one session in its life: nothing leads from ASSIGNED back to IDLE. REMOVED (the container is gone) ends
 * the stream. Repeating what already happened decides nothing, so every caller may be late (`create-failed` comes too late for
 * one that is IDLE); what can never follow is a {@link WrongStateError}.
 */
import type { LostReason, RetireReason, WorkerEvent, WorkerLimits } from '../events/eventTypes.ts';
import type { Worker } from '../events/states.ts';
import type { PoolId, SessionId, WorkerId } from '../ids.ts';
import { WrongStateError } from './wrongStateError.ts';

export type WorkerCommand = { readonly at: string } & (
  | {
      readonly type: 'RequestWorker';
      readonly workerId: WorkerId;
      readonly poolId: PoolId;
      readonly name: string;
      readonly imageId: string;
      readonly runtime: string;
      readonly limits: WorkerLimits;
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

/** Decides what a command on a worker records. Pure. @throws WrongStateError */
export function decideWorker(command: WorkerCommand, worker: Worker | null): WorkerEvent[] {
  if (command.type === 'RequestWorker') {
    if (worker !== null) throw new WrongStateError('worker', worker.state, command.type);
    const { type: _, ...data } = command;
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
  const ended = ['RETIRED', 'LOST', 'REMOVED'].includes(worker.state);
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
      // Whoever gave up on its making was slower than its maker.
      const isMade = worker.state === 'IDLE' || worker.state === 'ASSIGNED';
      if (reason === 'create-failed' && isMade) return [];
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
