/** Notebooks: which document of a Jupyter client uses which context. */
import { DomainError } from '../../domain/errors.ts';
import { type NotebookId, parseId } from '../../domain/ids.ts';
import {
  decideNotebook,
  NOTEBOOK_TYPES,
  type Notebook,
  type NotebookFacts,
  type NotebookType,
} from '../../domain/notebook.ts';
import { both, type Users } from '../../domain/users.ts';
import { commitChanges, decideAndCommit } from '../../events/store/decideAndCommit.ts';
import { type KernelView, kernel } from '../contexts/kernels.ts';
import { type Principal, sees } from '../principal.ts';
import { noContext, notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { refuse } from '../validate.ts';

/** Linux allows no longer path. */
const MAX_PATH_CHARS = 4_095;
const MAX_NAME_CHARS = 255;

interface NotebookRequest {
  readonly path: string;
  readonly name: string;
  readonly type: string;
}

/** @throws BAD_USER_INPUT */
function validateNotebook(
  { path, name, type }: NotebookRequest,
  { context, userUuid }: KernelView,
): NotebookFacts {
  requireText('path', path, MAX_PATH_CHARS);
  requireText('name', name, MAX_NAME_CHARS);
  if (!isType(type)) refuse('type', `must be one of ${NOTEBOOK_TYPES.join(', ')}`, {});
  return { path, name, type, contextId: context.id, userUuid };
}

function requireText(field: string, text: string, limit: number): void {
  if (text.length > limit || text.includes('\0') || !text.isWellFormed())
    refuse(field, `must be text of at most ${limit} characters, without U+0000`, { limit });
}

function isType(type: string): type is NotebookType {
  return NOTEBOOK_TYPES.some((each) => each === type);
}

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
async function requireNotebook(
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

/** Fields that are left out stay unchanged. */
type NotebookChanges = Partial<NotebookRequest & { readonly contextId: string }>;

/** Gives an open notebook another path, name, type or context. @throws BAD_USER_INPUT, NOT_FOUND */
export async function changeNotebook(
  deps: Pick<ServiceDeps, 'database' | 'now'>,
  principal: Principal,
  notebookId: string,
  changes: NotebookChanges,
): Promise<Notebook> {
  const outcome = await decideAndCommit(deps.database.store, {
    load: async () => {
      const notebook = await requireNotebook(deps, principal, notebookId);
      const contextId = changes.contextId ?? notebook.contextId;
      const context = await kernel(deps, principal, contextId);
      if (context === null) throw noContext(contextId);
      return { notebook, context };
    },
    decide: ({ notebook: state, context }) => {
      const facts = validateNotebook({ ...state, ...changes }, context);
      const command = { type: 'ChangeNotebook', at: deps.now().toISOString(), facts } as const;
      const events = decideNotebook(command, state);
      return commitChanges({ streams: [{ stream: 'notebook', id: state.id, state, events }] });
    },
  });
  if (outcome.type === 'refused') return await requireNotebook(deps, principal, notebookId);
  return outcome.committed.states[0] as Notebook;
}

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
