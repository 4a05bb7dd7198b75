import type { SessionEvent } from '../eventTypes.ts';
import type { Session } from '../states.ts';
import { missingStart } from './missingStart.ts';

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
