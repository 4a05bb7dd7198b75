import { type Context, decideContext } from '../../src/domain/context.ts';
import type { ContextId } from '../../src/domain/ids.ts';
import type { Database } from '../../src/events/database.ts';
import { commitChanges, type Deciding } from '../../src/events/store/decideAndCommit.ts';

/** Ends a context, as the holder of its worker does. */
export function endContextCommit(
  { queries }: Pick<Database, 'queries'>,
  id: ContextId,
): Deciding<Context | null, 'unchanged'> {
  return {
    load: async () => (await queries.contexts([id]))[0] ?? null,
    decide: (state) => {
      const at = new Date().toISOString();
      const events = decideContext({ type: 'EndContext', at, reason: 'deleted' }, state);
      return commitChanges({ streams: [{ stream: 'context', id, state, events }] });
    },
  };
}
