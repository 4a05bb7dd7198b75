import { type Context, decideContext } from '../../domain/context.ts';
import type { Database } from '../../events/database.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { noContext } from './openContext.ts';
import { untilContext } from './untilContext.ts';

export interface RequestContextDeps {
  readonly database: Database;
  readonly now: () => Date;
}

/**
 * Asks for a fresh kernel of the context, and resolves with the context when it has got one. Works on any gateway, as
 * a restart of the default kernel does (requestKernelRestart.ts). @throws NOT_FOUND, POOL_INITIALIZING
 */
export async function requestContextRestart(
  { database, now }: RequestContextDeps,
  { id }: Context,
): Promise<Context> {
  const { queries, store } = database;
  const outcome = await decideAndCommit(store, {
    load: async () => (await queries.contexts([id]))[0] ?? null,
    decide: (state) => {
      const command = { type: 'RequestContextRestart', at: now().toISOString() } as const;
      const events = decideContext(command, state);
      return commitChanges({ streams: [{ stream: 'context', id, state, events }] });
    },
  });
  if (outcome.type === 'refused') throw noContext(id);
  const { kernelRestarts } = outcome.committed.states[0] as Context;
  const context = await untilContext(
    database,
    id,
    (each) => each.kernelRestarts > kernelRestarts,
    'The kernel was not replaced',
  );
  if (context.kernelRestarts === kernelRestarts) throw noContext(id);
  return context;
}
