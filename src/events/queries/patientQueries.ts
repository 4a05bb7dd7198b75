import type { Logger } from 'pino';
import { messageOf } from '../../errors.ts';
import { DatabaseAwayError } from '../eventStore.ts';
import { pause } from '../pause.ts';
import { isAway } from '../store/databaseErrors.ts';
import type { Queries } from './queries.ts';

/** As long as a commit waits, so that whoever asks is told alike. */
const QUERY_RETRY_LIMIT_MS = 30_000;

export interface PatientQueriesDeps {
  readonly logger: Logger;
  /** Aborted when the database is being closed: nobody waits any more. */
  readonly closing: AbortSignal;
}

type Query = (...given: never[]) => Promise<unknown>;

/**
 * The same queries, each asked again while the database is away: none of them does harm when it is repeated.
 * @throws DatabaseAwayError after a named limit
 */
export function patientQueries(queries: Queries, deps: PatientQueriesDeps): Queries {
  const patient = Object.entries(queries).map(([name, query]: [string, Query]) => [
    name,
    (...given: never[]) => patiently(() => query(...given), name, deps),
  ]);
  return Object.fromEntries(patient) as Queries;
}

async function patiently<T>(
  ask: () => Promise<T>,
  name: string,
  { logger, closing }: PatientQueriesDeps,
): Promise<T> {
  const startedAt = performance.now();
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error: unknown) {
      if (!isAway(error)) throw error;
      const waitedMs = Math.round(performance.now() - startedAt);
      if (closing.aborted || waitedMs > QUERY_RETRY_LIMIT_MS) {
        throw new DatabaseAwayError(waitedMs, { cause: error });
      }
      const details = { error: messageOf(error), query: name, attempt };
      logger.debug(details, 'The database did not answer a query; trying again');
      await pause(attempt, closing);
    }
  }
}
