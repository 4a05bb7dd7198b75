import type { CloseReason } from '../domain/session.ts';
import type { Worker } from '../domain/worker.ts';

/** The reason for which a session is closed when its worker ends for `reason`. */
export function closeReason(reason: Worker['endReason']): CloseReason {
  switch (reason) {
    case 'released':
    case 'idle':
    case 'expired':
    case 'shutdown':
      return reason;
    case 'recycled':
      return 'idle';
    default:
      return 'worker-lost';
  }
}
