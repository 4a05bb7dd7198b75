/**
 * What events fold into. A state is also the row of its projection table, so loading one is one read by key and the
 * fold is needed only to rebuild and to prove. `version` is the stream's.
 */
import type { ExecutionId, PoolId, SessionId, WorkerId } from '../ids.ts';
import type {
  CloseReason,
  EndStatus,
  LostReason,
  RetireReason,
  WorkerLimits,
} from './eventTypes.ts';

export interface Worker {
  readonly id: WorkerId;
  readonly version: number;
  readonly poolId: PoolId;
  readonly state: 'REQUESTED' | 'STARTING' | 'IDLE' | 'ASSIGNED' | 'RETIRED' | 'LOST' | 'REMOVED';
  readonly name: string;
  readonly imageId: string;
  readonly runtime: string;
  readonly limits: WorkerLimits;
  readonly containerId: string | null;
  readonly socketPath: string | null;
  readonly sessionId: SessionId | null;
  readonly requestedAt: Date;
  readonly startedAt: Date | null;
  readonly readyAt: Date | null;
  readonly readyMs: number | null;
  readonly assignedAt: Date | null;
  /** Retired or lost. */
  readonly endedAt: Date | null;
  readonly endReason: RetireReason | LostReason | null;
  readonly exitCode: number | null;
  readonly removedAt: Date | null;
}

export interface Session {
  readonly id: SessionId;
  readonly version: number;
  readonly tenant: string;
  readonly userUuid: string;
  readonly workerId: WorkerId;
  readonly followsLoss: boolean;
  readonly openedAt: Date;
  readonly kernelRestarts: number;
  readonly kernelRestartedAt: Date | null;
  readonly closedAt: Date | null;
  readonly closeReason: CloseReason | null;
}

export interface Execution {
  readonly id: ExecutionId;
  readonly version: number;
  readonly tenant: string;
  readonly userUuid: string;
  readonly sessionId: SessionId;
  readonly workerId: WorkerId;
  readonly status: 'QUEUED' | 'RUNNING' | EndStatus;
  /** The code itself is in ExecutionRequested only (it can be a megabyte). */
  readonly codeSha256: string;
  readonly codeBytes: number;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly idempotencyKey: string | null;
  readonly requestedAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly executionCount: number | null;
  readonly errorName: string | null;
  readonly errorValue: string | null;
  readonly stateLost: boolean;
  readonly truncated: boolean;
  readonly queuedMs: number | null;
  readonly runMs: number | null;
  readonly cpuMs: number | null;
  readonly peakMemoryBytes: number | null;
  readonly outputBytes: number;
}
