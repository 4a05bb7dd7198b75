/** Makes the events that the pool and the service record, for tests of the layers below them. */
import { createHash } from 'node:crypto';
import type { Context, ContextEvent } from '../src/domain/context.ts';
import type { StateOf } from '../src/domain/entities.ts';
import type { Environment, EnvironmentEvent } from '../src/domain/environment.ts';
import type { Execution, ExecutionEvent } from '../src/domain/execution.ts';
import type { FileChangeEvent } from '../src/domain/fileChange.ts';
import type {
  ContextId,
  EnvironmentId,
  ExecutionId,
  FileChangeId,
  PoolId,
  SessionId,
  WorkerId,
} from '../src/domain/ids.ts';
import type { KernelRestartReason, Session, SessionEvent } from '../src/domain/session.ts';
import type { Worker, WorkerEvent } from '../src/domain/worker.ts';
import type { Commit, Committed, StreamAppend } from '../src/events/store/eventStore.ts';
import { newId } from '../src/process/newId.ts';

export const POOL_ID = '0197a000-0000-7000-8000-000000000001' as PoolId;

type DataOf<E extends { type: string; data: unknown }, T> = Extract<E, { type: T }>['data'];

/** The first event of a worker. */
export function workerRequested(
  id = newId<WorkerId>(),
  at = new Date(),
  environmentId: EnvironmentId | null = null,
): StreamAppend {
  const data: DataOf<WorkerEvent, 'WorkerRequested'> = {
    workerId: id,
    poolId: POOL_ID,
    name: `worker-${id.slice(-6)}`,
    imageId: 'sha256:1',
    runtime: 'docker/runc',
    limits: { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 },
    ...(environmentId && { environmentId }),
    at: at.toISOString(),
  };
  return { stream: 'worker', id, state: null, events: [{ type: 'WorkerRequested', data }] };
}

export function onWorker(state: Worker, ...events: WorkerEvent[]): StreamAppend {
  return { stream: 'worker', id: state.id, state, events };
}

/** The events that bring a requested worker to IDLE. */
export function becomesIdle(at = new Date()): WorkerEvent[] {
  const time = at.toISOString();
  return [
    { type: 'WorkerStarted', data: { containerId: 'c1', socketPath: '/s/agent.sock', at: time } },
    { type: 'WorkerReady', data: { readyMs: 700.5, at: time } },
  ];
}

export function workerLost(at = new Date()): WorkerEvent {
  const data = { reason: 'exited' as const, exitCode: 1, detail: null, at: at.toISOString() };
  return { type: 'WorkerLost', data };
}

export function sessionOpened(
  over: Partial<DataOf<SessionEvent, 'SessionOpened'>> = {},
): StreamAppend {
  const data = {
    sessionId: newId<SessionId>(),
    tenant: 'default',
    userUuid: 'user-1',
    workerId: newId<WorkerId>(),
    followsLoss: false,
    at: new Date().toISOString(),
    ...over,
  };
  const events: SessionEvent[] = [{ type: 'SessionOpened', data }];
  return { stream: 'session', id: data.sessionId, state: null, events };
}

export function onSession(state: Session, ...events: SessionEvent[]): StreamAppend {
  return { stream: 'session', id: state.id, state, events };
}

/** The first event of a context of the session. */
export function contextCreated(
  { id: sessionId, workerId, tenant, userUuid }: Session,
  over: Partial<DataOf<ContextEvent, 'ContextCreated'>> = {},
): StreamAppend {
  const data = {
    contextId: newId<ContextId>(),
    sessionId,
    workerId,
    tenant,
    userUuid,
    name: null,
    workingDirectory: null,
    slot: 0,
    at: new Date().toISOString(),
    ...over,
  };
  const events: ContextEvent[] = [{ type: 'ContextCreated', data }];
  return { stream: 'context', id: data.contextId, state: null, events };
}

export function onContext(state: Context, ...events: ContextEvent[]): StreamAppend {
  return { stream: 'context', id: state.id, state, events };
}

/** The first event of a version of an environment. */
export function environmentRequested(
  over: Partial<DataOf<EnvironmentEvent, 'EnvironmentRequested'>> = {},
): StreamAppend {
  const data: DataOf<EnvironmentEvent, 'EnvironmentRequested'> = {
    environmentId: newId<EnvironmentId>(),
    name: 'science',
    number: 1,
    reason: 'asked',
    spec: { apt: [], pip: ['alpha==1.0'], index: null, setup: null, preload: [] },
    baseImageId: 'sha256:1',
    hash: 'f'.repeat(64),
    at: new Date().toISOString(),
    ...over,
  };
  const events: EnvironmentEvent[] = [{ type: 'EnvironmentRequested', data }];
  return { stream: 'environment', id: data.environmentId, state: null, events };
}

export function onEnvironment(state: Environment, ...events: EnvironmentEvent[]): StreamAppend {
  return { stream: 'environment', id: state.id, state, events };
}

export function environmentBuilt(
  over: Partial<DataOf<EnvironmentEvent, 'EnvironmentBuilt'>> = {},
): EnvironmentEvent {
  const packages = [{ name: 'alpha', version: '1.0', from: 'pip' as const }];
  const data = { imageId: 'sha256:2', bytes: 1_000, packages, at: new Date().toISOString() };
  return { type: 'EnvironmentBuilt', data: { ...data, ...over } };
}

export function executionRequested(
  over: Partial<DataOf<ExecutionEvent, 'ExecutionRequested'>> = {},
): StreamAppend {
  const code = over.code ?? 'print(1)';
  const data = {
    executionId: newId<ExecutionId>(),
    sessionId: newId<SessionId>(),
    workerId: newId<WorkerId>(),
    tenant: 'default',
    userUuid: 'user-1',
    code,
    codeSha256: createHash('sha256').update(code).digest('hex'),
    codeBytes: Buffer.byteLength(code),
    timeoutMs: 10_000,
    maxOutputBytes: 1_000_000,
    idempotencyKey: null,
    stateLost: false,
    at: new Date().toISOString(),
    ...over,
  };
  const events: ExecutionEvent[] = [{ type: 'ExecutionRequested', data }];
  return { stream: 'execution', id: data.executionId, state: null, events };
}

/** The first event of a change of a file in the session. */
export function fileChangeRequested(
  { id: sessionId, workerId, tenant, userUuid }: Session,
  over: Partial<DataOf<FileChangeEvent, 'FileChangeRequested'>> = {},
): StreamAppend {
  const data = {
    changeId: newId<FileChangeId>(),
    tenant,
    userUuid,
    sessionId,
    workerId,
    operation: 'write' as const,
    path: 'a.csv',
    toPath: null,
    at: new Date().toISOString(),
    ...over,
  };
  const events: FileChangeEvent[] = [{ type: 'FileChangeRequested', data }];
  return { stream: 'fileChange', id: data.changeId, state: null, events };
}

export function interruptRequested(at = new Date()): ExecutionEvent {
  return { type: 'InterruptRequested', data: { at: at.toISOString() } };
}

export function kernelRestartRequested(at = new Date()): SessionEvent {
  return { type: 'KernelRestartRequested', data: { at: at.toISOString() } };
}

export function kernelRestarted(reason: KernelRestartReason, at = new Date()): SessionEvent {
  return { type: 'KernelRestarted', data: { reason, executionId: null, at: at.toISOString() } };
}

export function onExecution(state: Execution, ...events: ExecutionEvent[]): StreamAppend {
  return { stream: 'execution', id: state.id, state, events };
}

export function executionFinished(
  over: Partial<DataOf<ExecutionEvent, 'ExecutionFinished'>> = {},
): ExecutionEvent {
  const data = {
    status: 'OK' as const,
    executionCount: 1,
    errorName: null,
    errorValue: null,
    stateLost: false,
    truncated: false,
    queuedMs: 0.5,
    runMs: 12.25,
    cpuMs: 10.125,
    peakMemoryBytes: 50_000_000,
    outputBytes: 4,
    storedOutputBytes: 68,
    exitCode: null,
    files: null,
    at: new Date().toISOString(),
    ...over,
  };
  return { type: 'ExecutionFinished', data };
}

/** Commits one append and resolves with the state after it. */
export async function commitOne<K extends StreamAppend['stream']>(
  store: { commit(commit: Commit): Promise<Committed> },
  append: Extract<StreamAppend, { stream: K }> | StreamAppend,
  more: Partial<Commit> = {},
): Promise<StateOf<K>> {
  const { states } = await store.commit({ streams: [append], ...more });
  return states[0] as StateOf<K>;
}
