import type { WorkerEvent } from '../eventTypes.ts';
import type { Worker } from '../states.ts';
import { missingStart } from './missingStart.ts';

/** The worker after `event`. Pure, and never refuses: what was recorded is so. @throws Error if the stream has no start */
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
