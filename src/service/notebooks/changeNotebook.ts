import { decideNotebook, type Notebook } from '../../domain/notebook.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { kernel } from '../contexts/kernel.ts';
import { noContext } from '../contexts/openContext.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { requireNotebook } from './notebooks.ts';
import { type NotebookRequest, validateNotebook } from './validateNotebook.ts';

/** Fields that are left out stay unchanged. */
export type NotebookChanges = Partial<NotebookRequest & { readonly contextId: string }>;

/** Gives an open notebook another path, name, type or context. @throws BAD_USER_INPUT, NOT_FOUND */
export async function changeNotebook(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  principal: Principal,
  notebookId: string,
  changes: NotebookChanges,
): Promise<Notebook> {
  const { id, contextId } = await requireNotebook(deps, principal, notebookId);
  const wanted = changes.contextId ?? contextId;
  const context = await kernel(deps, principal, wanted);
  if (context === null) throw noContext(wanted);
  const outcome = await decideAndCommit(deps.database.store, {
    load: () => requireNotebook(deps, principal, id),
    decide: (state) => {
      const facts = validateNotebook({ ...state, ...changes }, context);
      const command = { type: 'ChangeNotebook', at: deps.now().toISOString(), facts } as const;
      const events = decideNotebook(command, state);
      return commitChanges({ streams: [{ stream: 'notebook', id, state, events }] });
    },
  });
  if (outcome.type === 'refused') return await requireNotebook(deps, principal, id);
  return outcome.committed.states[0] as Notebook;
}
