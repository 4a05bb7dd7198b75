/**
 * Tells listeners that something happened, on whichever gateway. The data is always in the tables: a wake-up only says
 * "look again", and one that is lost costs at most one poll interval.
 */

import type { RecordedEvent } from '../../domain/events.ts';
import type { ExecutionId, SessionId } from '../../domain/ids.ts';

export interface WakeUps {
  /** Every event from now on, each once, in position order. Listeners must not throw and must not wait. */
  onEvent(listener: (event: RecordedEvent) => void): () => void;
  /** Called when outputs of the execution may have been added (by any gateway), and at each poll. */
  onOutput(executionId: ExecutionId, wake: () => void): () => void;
  /** Called when outputs of any execution of the session may have been added, and at each poll. */
  onSessionOutput(sessionId: SessionId, wake: () => void): () => void;
  /** Called when more or fewer calls may wait for a worker at other gateways, and at each poll. */
  onWaiting(wake: () => void): () => void;
  close(): Promise<void>;
}
