import { decideNotebook } from '../../domain/notebook.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { requireNotebook } from './notebooks.ts';

/** Records that nobody works on the notebook any more. Its context goes on. @throws NOT_FOUND */
export async function closeNotebook(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  principal: Principal,
  notebookId: string,
): Promise<void> {
  await decideAndCommit(deps.database.store, {
    load: () => requireNotebook(deps, principal, notebookId),
    decide: (state) => {
      const command = { type: 'CloseNotebook', at: deps.now().toISOString() } as const;
      const events = decideNotebook(command, state);
      return commitChanges({ streams: [{ stream: 'notebook', id: state.id, state, events }] });
    },
  });
}
