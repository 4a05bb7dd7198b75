import { DomainError } from '../../domain/errors.ts';
import type { NotebookId } from '../../domain/ids.ts';
import { decideNotebook, type Notebook } from '../../domain/notebook.ts';
import { kernel } from '../contexts/kernel.ts';
import { noContext } from '../contexts/openContext.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type NotebookRequest, validateNotebook } from './validateNotebook.ts';

/** How many notebooks one user may have open at a time. */
const MAX_OPEN_NOTEBOOKS = 500;

/**
 * Records that an open context runs the cells of a notebook.
 * @throws BAD_USER_INPUT, also if there are too many; NOT_FOUND
 */
export async function openNotebook(
  deps: Pick<ServiceDeps, 'database' | 'newId' | 'now'>,
  principal: Principal,
  request: NotebookRequest & { readonly contextId: string },
): Promise<Notebook> {
  const { database, newId, now } = deps;
  const found = await kernel(deps, principal, request.contextId);
  if (found === null) throw noContext(request.contextId);
  const { tenant, userUuid } = found;
  const facts = validateNotebook(request, found);
  const open = await database.queries.openNotebooks(tenant, { uuid: userUuid }, MAX_OPEN_NOTEBOOKS);
  if (open.length === MAX_OPEN_NOTEBOOKS) throw tooMany();
  const id = newId<NotebookId>();
  const opened = { notebookId: id, tenant, ...facts };
  const events = decideNotebook({ type: 'OpenNotebook', at: now().toISOString(), opened }, null);
  const { states } = await database.store.commit({
    streams: [{ stream: 'notebook', id, state: null, events }],
  });
  return states[0] as Notebook;
}

function tooMany(): DomainError {
  const limit = MAX_OPEN_NOTEBOOKS;
  const message = `${limit} notebooks of this user are open already. Close one first.`;
  return new DomainError('BAD_USER_INPUT', message, { field: 'path', limit });
}
