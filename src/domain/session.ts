/**
 * The life of a session.
 *
 * ```
 *  (none) --open--> open --[restart requested]--kernel restarted--> open ... --close--> closed
 * ```
 * A user's request for a fresh kernel is recorded for whoever acts for the worker. Closing what is closed decides nothing. A
 * restart reported after the close is dropped: the kernel is gone anyway.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { ExecutionId, SessionId, WorkerId } from './ids.ts';

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

/** What the events of a session fold into, and the row of its table; `version` is the stream's. */
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

export type SessionCommand = { readonly at: string } & (
  | {
      readonly type: 'OpenSession';
      readonly sessionId: SessionId;
      readonly tenant: string;
      readonly userUuid: string;
      readonly workerId: WorkerId;
      readonly previous: Session | null;
    }
  | { readonly type: 'RequestKernelRestart' }
  | {
      readonly type: 'RecordKernelRestart';
      readonly reason: KernelRestartReason;
      readonly executionId: ExecutionId | null;
    }
  | { readonly type: 'CloseSession'; readonly reason: CloseReason }
);

/** Decides what a command on a session records. Pure. @throws WrongStateError */
export function decideSession(command: SessionCommand, session: Session | null): SessionEvent[] {
  if (command.type === 'OpenSession') {
    if (session !== null) throw new WrongStateError('session', 'open already', command.type);
    const { at, sessionId, tenant, userUuid, workerId, previous } = command;
    const followsLoss = previous !== null && previous.closeReason !== 'released';
    return [
      { type: 'SessionOpened', data: { at, sessionId, tenant, userUuid, workerId, followsLoss } },
    ];
  }
  if (session === null) throw new WrongStateError('session', 'not open', command.type);
  if (session.closedAt !== null) return [];
  const { at } = command;
  switch (command.type) {
    case 'RequestKernelRestart':
      return [{ type: 'KernelRestartRequested', data: { at } }];
    case 'RecordKernelRestart': {
      const { reason, executionId } = command;
      return [{ type: 'KernelRestarted', data: { at, reason, executionId } }];
    }
    case 'CloseSession':
      return [{ type: 'SessionClosed', data: { at, reason: command.reason } }];
    default:
      return command satisfies never;
  }
}

/** The session after `event`. Pure, and never refuses: what was recorded is so. @throws Error if the stream has no start */
export function evolveSession(state: Session | null, event: SessionEvent): Session {
  if (event.type === 'SessionOpened') return opened(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const at = new Date(event.data.at);
  const next = { ...state, version: state.version + 1 };
  switch (event.type) {
    case 'KernelRestartRequested':
      return next;
    case 'KernelRestarted':
      return { ...next, kernelRestarts: state.kernelRestarts + 1, kernelRestartedAt: at };
    case 'SessionClosed':
      return { ...next, closedAt: at, closeReason: event.data.reason };
    default:
      return event satisfies never;
  }
}

type Opened = Extract<SessionEvent, { type: 'SessionOpened' }>['data'];

function opened(data: Opened, version: number): Session {
  return {
    id: data.sessionId,
    version: version + 1,
    tenant: data.tenant,
    userUuid: data.userUuid,
    workerId: data.workerId,
    followsLoss: data.followsLoss,
    openedAt: new Date(data.at),
    kernelRestarts: 0,
    kernelRestartedAt: null,
    closedAt: null,
    closeReason: null,
  };
}

/** Names a user among all tenants. Neither part can hold U+0000: both are validated. */
export function userKey(tenant: string, userUuid: string): string {
  return `${tenant}\u0000${userUuid}`;
}
