/** Contexts end with their session. The default context has no event stream, so no event records its end. */
import { type Context, decideContext } from '../domain/context.ts';
import type { CloseReason } from '../domain/session.ts';
import type { Worker } from '../domain/worker.ts';
import type { Database } from '../events/database.ts';
import { commitChanges, decideAndCommit } from '../events/store/decideAndCommit.ts';
import { closeReason } from './closeReason.ts';

/** The end of a context whose session is closed for this reason. */
export function appendContextEnd(state: Context, reason: CloseReason, at: string) {
  const events = decideContext({ type: 'EndContext', at, reason }, state);
  return { stream: 'context', id: state.id, state, events } as const;
}

export interface EndLeftContextsDeps {
  readonly database: Database;
  readonly now: () => Date;
}

/**
 * Ends the contexts that were created while their session's end was being recorded. A context can be created only in an
 * open session, so no further context appears after this.
 */
export async function endLeftContexts(
  { database: { queries, store }, now }: EndLeftContextsDeps,
  worker: Worker,
): Promise<void> {
  await decideAndCommit(store, {
    load: () => queries.openContextsOfWorker(worker.id),
    decide: (contexts) => {
      const at = now().toISOString();
      const reason = closeReason(worker.endReason);
      return commitChanges({
        streams: contexts.map((context) => appendContextEnd(context, reason, at)),
      });
    },
  });
}
