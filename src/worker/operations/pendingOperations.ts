/**
 * The requests for durable operations that the agent has not answered yet. Each is recorded before any gateway acts on
 * it. The gateway that holds the worker sends it until it is answered. If that gateway dies, the next holder sends it
 * again. That is safe, because the agent carries out a request with the same event id only once.
 */

import type { Logger } from 'pino';
import { untilDone } from '../../async/untilDone.ts';
import { BoundedMap } from '../../domain/boundedMap.ts';
import { messageOf } from '../../domain/errors.ts';
import type { DomainEvent, RecordedEvent } from '../../domain/events.ts';
import type { EventId } from '../../domain/ids.ts';

/** Avoids a tight loop. If the agent does not answer for long, the worker's channel reports it (`onUnreachable`). */
const RETRY_DELAY_MS = 500;
/**
 * How many event ids are remembered, so that repeated requests are ignored. Repeats come within seconds, so fewer would
 * do.
 */
const MAX_REMEMBERED = 1_000;

export interface PendingOperationsDeps {
  readonly logger: Logger;
  /** Resolves when the agent has answered, or need not be asked. */
  readonly carryOut: (request: RecordedEvent) => Promise<void>;
}

export interface PendingOperations {
  /** Begins immediately. A request that is already known is ignored, so several sources may report it. */
  add(request: RecordedEvent): void;
  /** Whether a request of this type on this stream is unanswered. */
  has(type: DomainEvent['type'], streamId: string): boolean;
  /** Sends nothing more. The worker's next holder continues. */
  close(): void;
}

export function createPendingOperations(deps: PendingOperationsDeps): PendingOperations {
  const closing = new AbortController();
  const known = new BoundedMap<EventId, true>(MAX_REMEMBERED);
  const unanswered = new Set<RecordedEvent>();

  async function untilAnswered(request: RecordedEvent): Promise<void> {
    await untilDone(
      closing.signal,
      () => deps.carryOut(request),
      (error) => {
        const details = { error: messageOf(error), request: request.event.type };
        deps.logger.warn(details, 'an agent did not answer; asking it again');
        return RETRY_DELAY_MS;
      },
    );
  }

  return {
    add: (request) => {
      const { eventId } = request.metadata;
      if (closing.signal.aborted || known.has(eventId)) return;
      known.set(eventId, true);
      unanswered.add(request);
      void untilAnswered(request).finally(() => unanswered.delete(request));
    },
    has: (type, streamId) =>
      [...unanswered].some((each) => each.event.type === type && each.streamId === streamId),
    close: () => closing.abort(),
  };
}
