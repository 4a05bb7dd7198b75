import { type NotebookId, parseId } from '../../domain/ids.ts';
import type { Notebook } from '../../domain/notebook.ts';
import { both, type Users } from '../../domain/users.ts';
import { notFound } from '../notFound.ts';
import { type Principal, sees } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** The most notebooks that are listed. */
const MAX_NOTEBOOKS = 1_000;

/** The open notebooks of these users whose context is open, too, oldest first. */
export async function notebooks(
  { database }: Pick<ServiceDeps, 'database'>,
  { tenant, users: own }: Principal,
  asked: Users,
): Promise<readonly Notebook[]> {
  const users = own === null ? asked : both(own, asked);
  return users === null ? [] : await database.queries.openNotebooks(tenant, users, MAX_NOTEBOOKS);
}

/** @throws NOT_FOUND */
export async function requireNotebook(
  { database }: Pick<ServiceDeps, 'database'>,
  principal: Principal,
  given: string,
): Promise<Notebook> {
  const id = parseId<NotebookId>(given);
  const found = id === null ? null : await database.queries.notebook(id);
  if (found === null || found.closedAt !== null || !sees(principal, found))
    throw notFound('open notebook', given);
  return found;
}
