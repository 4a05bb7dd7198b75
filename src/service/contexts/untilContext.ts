import type { Context } from '../../domain/context.ts';
import { DomainError, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { Database } from '../../events/database.ts';
import { CARRY_OUT_LIMIT_MS, untilCarriedOut } from '../untilCarriedOut.ts';

/**
 * Resolves with the context once `isAsWanted` is true, or the context has ended.
 * @param late the beginning of the error's message, such as `The kernel was not replaced`. Null: after
 * {@link CARRY_OUT_LIMIT_MS}, resolves with the context as it is
 * @throws POOL_INITIALIZING after {@link CARRY_OUT_LIMIT_MS}, unless `late` is null
 */
export async function untilContext(
  database: Pick<Database, 'queries' | 'wakeUps'>,
  id: ContextId,
  isAsWanted: (context: Context) => boolean,
  late: string | null,
): Promise<Context> {
  return await untilCarriedOut(database, {
    streamId: id,
    read: async () => {
      const [context] = await database.queries.contexts([id]);
      if (!context) throw new Error(`The context ${id} does not exist.`);
      return context;
    },
    isDone: (context) => context.endedAt !== null || isAsWanted(context),
    whenLate: (context) => {
      if (late === null) return context;
      throw tooLate(id, late);
    },
  });
}

function tooLate(contextId: ContextId, late: string): DomainError {
  return new DomainError(
    'POOL_INITIALIZING',
    `${late} within ${CARRY_OUT_LIMIT_MS} ms. The request is recorded and will be carried out as soon as the worker answers.`,
    { contextId, retryAfterMs: RETRY_AFTER_MS },
  );
}
