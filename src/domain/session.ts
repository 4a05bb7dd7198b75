/**
 * The life of a session.
 *
 * ```
 *  (none) --open--> open --[restart requested]--kernel restarted--> open ... --close--> closed
 * ```
 * A user's request for a fresh kernel is recorded, and the gateway that holds the worker carries it out. Once a session
 * is closed, further commands record nothing: there is no kernel left to restart.
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
        /** The user's previous session ended for another reason than their own release: its variables are lost. */
        followsLoss: boolean;
      }
    >
  | Event<'KernelRestartRequested', Record<never, never>>
  | Event<'KernelRestarted', { reason: KernelRestartReason; executionId: ExecutionId | null }>
  | Event<'SessionClosed', { reason: CloseReason }>;

/** The state that a session's events fold into, which is also its row in the table. `version` is that of its stream. */
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

/**
 * The events that a command on a session records. Pure.
 * @throws WrongStateError if the command does not fit the state
 */
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

/**
 * The session after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
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

/** A key that names one user among all tenants. Both parts are validated, so neither contains the separator U+0000. */
export function userKey(tenant: string, userUuid: string): string {
  return `${tenant}\u0000${userUuid}`;
}
