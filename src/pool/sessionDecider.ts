/**
 * The life of a session.
 *
 * ```
 *  (none) --open--> open --[restart requested]--kernel restarted--> open ... --close--> closed
 * ```
 * A user's request for a fresh kernel is recorded for whoever acts for the worker. Closing what is closed decides nothing. A
 * restart reported after the close is dropped: the kernel is gone anyway.
 */
import type { CloseReason, KernelRestartReason, SessionEvent } from '../events/eventTypes.ts';
import type { Session } from '../events/states.ts';
import type { ExecutionId, SessionId, WorkerId } from '../ids.ts';
import { WrongStateError } from './wrongStateError.ts';

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
