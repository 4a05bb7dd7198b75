import type { Context } from '../../domain/context.ts';
import { DomainError } from '../../domain/errors.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { Database } from '../../events/database.ts';
import { listenForNews } from '../../events/wakeUps/eventNews.ts';

/** A kernel without a fork server takes some seconds to start on a busy machine, and so may a take-over before it. */
const LIMIT_MS = 30_000;
/** The event feed reports changes. Reads at this interval cover the case that the feed was interrupted when one came. */
const LOOK_INTERVAL_MS = 5_000;
const RETRY_AFTER_MS = 1_000;

/**
 * Resolves with the context once it is as wanted, or has ended.
 * @param late what has not happened in time, as a sentence
 * @throws POOL_INITIALIZING after {@link LIMIT_MS}
 */
export async function untilContext(
  { queries, wakeUps }: Pick<Database, 'queries' | 'wakeUps'>,
  id: ContextId,
  isAsWanted: (context: Context) => boolean,
  late: string,
): Promise<Context> {
  const limit = performance.now() + LIMIT_MS;
  const news = listenForNews(wakeUps, ({ streamId }) => streamId === id);
  try {
    for (;;) {
      const [context] = await queries.contexts([id]);
      if (!context) throw new Error(`The context ${id} does not exist.`);
      if (context.endedAt !== null || isAsWanted(context)) return context;
      if (performance.now() > limit) throw tooLate(id, late);
      await news.next(LOOK_INTERVAL_MS);
    }
  } finally {
    news.close();
  }
}

function tooLate(contextId: ContextId, late: string): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    `${late} within ${LIMIT_MS} ms. The request is recorded and will be carried out as soon as the worker answers.`,
    { contextId, retryAfterMs: RETRY_AFTER_MS },
  );
}
