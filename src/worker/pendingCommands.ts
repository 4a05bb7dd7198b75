/**
 * What users asked of a worker (an interrupt, a fresh kernel) and its agent has not answered yet. Each is recorded before any
 * gateway acts on it, and its event's id goes along to the agent, which does the same id once: so whoever holds the worker
 * sends it until it is answered, and a successor sends it again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import type { EventId, ExecutionId } from '../domain/ids.ts';
import type { PendingCommand } from '../events/queries/commandQueries.ts';
import { FencedByWorkerError } from '../kernel/channel/kernelErrors.ts';

/** An agent that does not answer is looked after by its channel; this only must not be a tight loop. */
const RETRY_DELAY_MS = 500;
/** Far more than can be told twice: what is told was committed within seconds. */
const MAX_REMEMBERED = 1_000;

export interface PendingCommandsDeps {
  readonly logger: Logger;
  /** Resolves when the agent has answered, or need not be asked. */
  readonly carryOut: (command: PendingCommand) => Promise<void>;
  readonly onFenced: () => void;
}

export interface PendingCommands {
  /** Begins at once; one that is known is ignored, so that every source may tell of it. */
  add(command: PendingCommand): void;
  /** An interrupt of it is not answered yet. */
  isInterrupting(id: ExecutionId): boolean;
  /** Sends nothing more; whoever holds the worker next does. */
  close(): void;
}

export function createPendingCommands(deps: PendingCommandsDeps): PendingCommands {
  const closing = new AbortController();
  const known = new Set<EventId>();
  const unanswered = new Set<PendingCommand>();

  async function untilAnswered(command: PendingCommand): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await deps.carryOut(command);
        return;
      } catch (error: unknown) {
        if (error instanceof FencedByWorkerError) return deps.onFenced();
        deps.logger.warn(
          { error: messageOf(error), command: command.type },
          'an agent did not answer',
        );
        await delay(RETRY_DELAY_MS, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }

  return {
    add: (command) => {
      if (closing.signal.aborted || known.has(command.requestId)) return;
      known.add(command.requestId);
      const [oldest] = known;
      if (known.size > MAX_REMEMBERED && oldest) known.delete(oldest);
      unanswered.add(command);
      void untilAnswered(command).finally(() => unanswered.delete(command));
    },
    isInterrupting: (id) =>
      [...unanswered].some((each) => each.type === 'interrupt' && each.executionId === id),
    close: () => closing.abort(),
  };
}
