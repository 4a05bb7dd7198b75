/**
 * Tells listeners that something happened, on this gateway or another. The data is always in the tables: a wake-up only
 * says "look again". A lost wake-up causes a delay of at most one poll interval.
 */

import type { RecordedEvent } from '../../domain/events.ts';
import type { ExecutionId, SessionId } from '../../domain/ids.ts';

export interface WakeUps {
  /** Calls `listener` with every event from now on, each once, in position order. Listeners must not throw or block. */
  onEvent(listener: (event: RecordedEvent) => void): () => void;
  /** Calls `wake` when outputs of the execution may have been added (by any gateway), and at each poll. */
  onOutput(executionId: ExecutionId, wake: () => void): () => void;
  /** Calls `wake` when outputs of any execution of the session may have been added, and at each poll. */
  onSessionOutput(sessionId: SessionId, wake: () => void): () => void;
  /**
   * Calls `wake` when the calls that wait at other gateways have changed (`told`). It also calls it at each poll
   * (`possible`), because a notification can be lost, and a gateway can have died.
   */
  onWaiting(wake: (change: 'told' | 'possible') => void): () => void;
  close(): Promise<void>;
}
