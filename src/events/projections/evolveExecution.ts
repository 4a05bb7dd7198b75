import type { ExecutionEvent } from '../eventTypes.ts';
import { storableText } from '../jsonText.ts';
import type { Execution } from '../states.ts';
import { missingStart } from './missingStart.ts';

/**
 * The execution after `event`. Pure, and never refuses: what was recorded is so. Error texts are made storable here (the
 * exact ones are in the event and the error output), so that this state equals the row read back.
 * @throws Error if the stream has no start
 */
export function evolveExecution(state: Execution | null, event: ExecutionEvent): Execution {
  if (event.type === 'ExecutionRequested') return requested(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'InterruptRequested':
      return next;
    case 'ExecutionStarted':
      return { ...next, status: 'RUNNING', startedAt: new Date(event.data.at) };
    case 'ExecutionFinished':
      return finished(next, event.data);
    default:
      return event satisfies never;
  }
}

type Requested = Extract<ExecutionEvent, { type: 'ExecutionRequested' }>['data'];
type Finished = Extract<ExecutionEvent, { type: 'ExecutionFinished' }>['data'];

function requested(data: Requested, version: number): Execution {
  return {
    id: data.executionId,
    version: version + 1,
    tenant: data.tenant,
    userUuid: data.userUuid,
    sessionId: data.sessionId,
    workerId: data.workerId,
    status: 'QUEUED',
    codeSha256: data.codeSha256,
    codeBytes: data.codeBytes,
    timeoutMs: data.timeoutMs,
    maxOutputBytes: data.maxOutputBytes,
    idempotencyKey: data.idempotencyKey,
    requestedAt: new Date(data.at),
    startedAt: null,
    finishedAt: null,
    executionCount: null,
    errorName: null,
    errorValue: null,
    stateLost: data.stateLost,
    truncated: false,
    queuedMs: null,
    runMs: null,
    cpuMs: null,
    peakMemoryBytes: null,
    outputBytes: 0,
  };
}

function finished(state: Execution, data: Finished): Execution {
  return {
    ...state,
    status: data.status,
    finishedAt: new Date(data.at),
    executionCount: data.executionCount,
    errorName: data.errorName === null ? null : storableText(data.errorName),
    errorValue: data.errorValue === null ? null : storableText(data.errorValue),
    stateLost: data.stateLost,
    truncated: data.truncated,
    queuedMs: data.queuedMs,
    runMs: data.runMs,
    cpuMs: data.cpuMs,
    peakMemoryBytes: data.peakMemoryBytes,
    outputBytes: data.outputBytes,
  };
}
