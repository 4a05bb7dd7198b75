/**
 * What users asked of a worker and its agent has not answered yet. Each is recorded before any gateway acts on it, and its
 * event's id goes along to the agent, which does the same id once: so whoever holds the worker sends it until it is
 * answered, and a successor sends it again.
 */
import type { Logger } from 'pino';
import { pause } from '../../async/pause.ts';
import { messageOf } from '../../domain/errors.ts';
import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import type { EventId } from '../../domain/ids.ts';

/** An agent that does not answer is looked after by its channel; this only must not be a tight loop. */
const RETRY_DELAY_MS = 500;
/** Far more than can be told twice: what is told was committed within seconds. */
const MAX_REMEMBERED = 1_000;

export interface PendingOperationsDeps {
  readonly logger: Logger;
  /** Resolves when the agent has answered, or need not be asked. */
  readonly carryOut: (request: RecordedEvent) => Promise<void>;
}

export interface PendingOperations {
  /** Begins at once; one that is known is ignored, so that every source may tell of it. */
  add(request: RecordedEvent): void;
  /** Whether a request of that kind, of that stream, is not answered yet. */
  has(type: DomainEvent['type'], streamId: string): boolean;
  /** Sends nothing more; whoever holds the worker next does. */
  close(): void;
}

export function createPendingOperations(deps: PendingOperationsDeps): PendingOperations {
  const closing = new AbortController();
  const known = new Set<EventId>();
  const unanswered = new Set<RecordedEvent>();

  async function untilAnswered(request: RecordedEvent): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await deps.carryOut(request);
        return;
      } catch (error: unknown) {
        if (closing.signal.aborted) return;
        deps.logger.warn(
          { error: messageOf(error), request: request.event.type },
          'an agent did not answer',
        );
        await pause(RETRY_DELAY_MS, closing.signal);
      }
    }
  }

  return {
    add: (request) => {
      const { eventId } = request.metadata;
      if (closing.signal.aborted || known.has(eventId)) return;
      known.add(eventId);
      const [oldest] = known;
      if (known.size > MAX_REMEMBERED && oldest) known.delete(oldest);
      unanswered.add(request);
      void untilAnswered(request).finally(() => unanswered.delete(request));
    },
    has: (type, streamId) =>
      [...unanswered].some((each) => each.event.type === type && each.streamId === streamId),
    close: () => closing.abort(),
  };
}
