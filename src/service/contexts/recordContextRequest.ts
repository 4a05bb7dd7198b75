import { type Context, type ContextCommand, decideContext } from '../../domain/context.ts';
import type { ContextId } from '../../domain/ids.ts';
import type { Database } from '../../events/database.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';

export interface RequestContextDeps {
  readonly database: Database;
  readonly now: () => Date;
}

/**
 * Records a request for a context, which the gateway that holds the worker carries out.
 * @returns the context after that. Null if there was nothing to record: it has ended, or is being deleted already
 */
export async function recordContextRequest(
  { database: { queries, store }, now }: RequestContextDeps,
  id: ContextId,
  type: Extract<ContextCommand['type'], 'RequestContextRestart' | 'RequestContextDelete'>,
): Promise<Context | null> {
  const outcome = await decideAndCommit(store, {
    load: async () => (await queries.contexts([id]))[0] ?? null,
    decide: (state) => {
      const events = decideContext({ type, at: now().toISOString() }, state);
      return commitChanges({ streams: [{ stream: 'context', id, state, events }] });
    },
  });
  return outcome.type === 'committed' ? (outcome.committed.states[0] as Context) : null;
}
