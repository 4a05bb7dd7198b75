import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { isAway } from '../store/databaseErrors.ts';
import { DatabaseAwayError } from '../store/eventStore.ts';
import { pauseBetween } from './client.ts';

/** Reads are repeated for as long as commits are, so that both give up after the same time. */
const RETRY_LIMIT_MS = 30_000;

export interface PatienceDeps {
  readonly logger: Logger;
  /** Aborted when the database is being closed: then there are no more retries. */
  readonly closing: AbortSignal;
}

type Ask = (...given: never[]) => Promise<unknown>;

/**
 * Wraps functions so that each is repeated while the database is away. Only for functions that may be repeated without
 * harm. They throw DatabaseAwayError after RETRY_LIMIT_MS, or immediately while closing.
 */
export function withRetries<T extends object>(functions: T, deps: PatienceDeps): T {
  const entries = Object.entries(functions) as [string, Ask][];
  return Object.fromEntries(entries.map(([name, ask]) => [name, patient(ask, deps)])) as T;
}

function patient<F extends Ask>(ask: F, { logger, closing }: PatienceDeps): F {
  const askPatiently = async (...given: Parameters<F>): Promise<unknown> => {
    const startedAt = performance.now();
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await ask(...given);
      } catch (error: unknown) {
        if (!isAway(error)) throw error;
        const waitedMs = Math.round(performance.now() - startedAt);
        if (closing.aborted || waitedMs > RETRY_LIMIT_MS) {
          throw new DatabaseAwayError(waitedMs, { cause: error });
        }
        logger.debug({ error: messageOf(error), attempt }, 'The database is away; asking again');
        await pauseBetween(attempt, closing);
      }
    }
  };
  return askPatiently as F;
}
