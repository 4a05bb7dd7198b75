/**
 * Every fact Cellhouse records. Names are past tense; `at` is when the fact became true (ISO 8601, UTC), by the clock of
 * the process that saw it. Streams: `worker-<id>`, `session-<id>`, `execution-<id>`; the state machines are drawn in
 * `pool/*Decider.ts`.
 */
import type { EventId, ExecutionId, PoolId, SessionId, WorkerId } from '../ids.ts';

type Event<Type extends string, Data> = {
  readonly type: Type;
  readonly data: Readonly<Data> & { readonly at: string };
};

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
      }
    >
  | Event<'WorkerStarted', { containerId: string; socketPath: string }>
  | Event<'WorkerReady', { readyMs: number }>
  | Event<'WorkerAssigned', { sessionId: SessionId }>
  | Event<'WorkerRetired', { reason: RetireReason }>
  | Event<'WorkerLost', { reason: LostReason; exitCode: number | null; detail: string | null }>
  | Event<'WorkerRemoved', Record<never, never>>;

export type KernelRestartReason = 'timeout' | 'user' | 'died' | 'oom';
export type CloseReason = 'released' | 'idle' | 'expired' | 'worker-lost' | 'shutdown';

export type SessionEvent =
  | Event<
      'SessionOpened',
      {
        sessionId: SessionId;
        tenant: string;
        userUuid: string;
        workerId: WorkerId;
        /** The user's session before this one ended otherwise than by their own release. */
        followsLoss: boolean;
      }
    >
  | Event<'KernelRestartRequested', Record<never, never>>
  | Event<'KernelRestarted', { reason: KernelRestartReason; executionId: ExecutionId | null }>
  | Event<'SessionClosed', { reason: CloseReason }>;

export type EndStatus = 'OK' | 'ERROR' | 'TIMEOUT' | 'INTERRUPTED' | 'WORKER_LOST' | 'CANCELLED';

export type ExecutionEvent =
  | Event<
      'ExecutionRequested',
      {
        executionId: ExecutionId;
        sessionId: SessionId;
        workerId: WorkerId;
        tenant: string;
        userUuid: string;
        code: string;
        codeSha256: string;
        codeBytes: number;
        timeoutMs: number;
        maxOutputBytes: number;
        idempotencyKey: string | null;
        /** Variables were already gone when it was accepted (see SessionOpened.followsLoss). */
        stateLost: boolean;
      }
    >
  | Event<'InterruptRequested', Record<never, never>>
  | Event<'ExecutionStarted', Record<never, never>>
  | Event<
      'ExecutionFinished',
      {
        status: EndStatus;
        executionCount: number | null;
        errorName: string | null;
        /** Bounded: the whole is in the error output. */
        errorValue: string | null;
        stateLost: boolean;
        truncated: boolean;
        queuedMs: number;
        /** From the kernel's start to its end; null if it never started. */
        runMs: number | null;
        cpuMs: number | null;
        peakMemoryBytes: number | null;
        outputBytes: number;
        /** Of the kernel, if it died in it (negative: the signal); since schema version 2. */
        exitCode: number | null;
      }
    >;

export type DomainEvent = WorkerEvent | SessionEvent | ExecutionEvent;

export type StreamKind = 'worker' | 'session' | 'execution';

/** An event as stored. */
export interface RecordedEvent<E extends DomainEvent = DomainEvent> {
  /** Commit order over all streams: whoever has seen n will never later meet a smaller one. From 1. */
  readonly position: number;
  readonly streamKind: StreamKind;
  readonly streamId: string;
  /** From 1, without holes within its stream. */
  readonly version: number;
  /** What it was stored as; `event` has the shape of today (`schemaVersions.ts`). */
  readonly schemaVersion: number;
  readonly event: E;
  readonly metadata: EventMetadata;
  readonly recordedAt: Date;
}

export interface EventMetadata {
  readonly eventId: EventId;
  /** The gateway that appended it. */
  readonly gatewayId: string;
  /** The event that caused this one, where there is one. */
  readonly causationId: EventId | null;
  /**
   * What belongs together: the execution's id for all that is recorded on an execution's behalf (also the session it opened
   * and the worker it took), else the id of the first event of its commit. Null: recorded before there was one.
   */
  readonly correlationId: string | null;
}
