/** Jupyter's sessions: notebooks (src/domain/notebook.ts) and the kernels that run them. */
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import type { Notebook } from '../../domain/notebook.ts';
import type { KernelView } from '../../service/contexts/kernels.ts';
import { optionalBody, readJson } from '../shared/body.ts';
import {
  answerNothing,
  answerRest,
  askedSpec,
  bad,
  kernelModel,
  type RestCall,
  type RestRoute,
  sessionModel,
  TEXT,
} from './rest.ts';

export const SESSION_ROUTES: readonly RestRoute[] = [
  { path: /^\/api\/sessions$/, methods: { GET: listSessions, POST: openSession } },
  {
    path: /^\/api\/sessions\/([^/]+)$/,
    methods: { GET: getSession, PATCH: changeSession, DELETE: endSession },
  },
];

const SESSION = optionalBody({
  path: TEXT,
  name: TEXT,
  type: TEXT,
  kernel: z.object({ id: TEXT, name: TEXT }, 'must be an object.').nullish(),
});

/** The folder of a document, in which its kernel starts. Null: the home. */
export function folderOf(path: string | null | undefined): string | null {
  const folder = (path ?? '').replace(/^\/+/, '').split('/').slice(0, -1).join('/');
  return folder === '' ? null : folder;
}

async function listSessions(rest: RestCall): Promise<void> {
  const [notebooks, kernels] = await Promise.all([
    rest.call.service.notebooks(rest.kernels.users),
    rest.kernels.list(),
  ]);
  const byId = new Map<string, KernelView>(kernels.map((each) => [each.context.id, each]));
  const models = notebooks.flatMap((notebook) => {
    const kernel = byId.get(notebook.contextId);
    return kernel ? [modelOf(rest, notebook, kernel)] : [];
  });
  answerRest(rest.call.res, 200, models);
}

/** If the path is open already, its session and kernel are returned. */
async function openSession(rest: RestCall): Promise<void> {
  const { call, kernels } = rest;
  const { path, kernel, name, type } = await readJson(call, SESSION);
  if (path == null) throw bad('Missing field in JSON data: path');
  const open = await call.service.notebooks(kernels.users);
  const found = open.find((each) => each.path === path);
  const asked = { path, name: name ?? '', type: type ?? 'notebook' };
  const notebook = found ?? (await opened(rest, asked, kernel ?? {}));
  const model = modelOf(rest, notebook, await kernels.find(notebook.contextId));
  answerRest(call.res, 201, model, { Location: `/api/sessions/${notebook.id}` });
}

async function opened(
  { call, kernels }: RestCall,
  asked: { readonly path: string; readonly name: string; readonly type: string },
  {
    id,
    name,
  }: { readonly id?: string | null | undefined; readonly name?: string | null | undefined },
): Promise<Notebook> {
  const kernel =
    id == null
      ? await kernels.start(folderOf(asked.path), await askedSpec(call, name))
      : await kernels.find(id);
  return await call.service.openNotebook({ contextId: kernel.context.id, ...asked });
}

async function getSession(rest: RestCall): Promise<void> {
  const { notebook, kernel } = await find(rest);
  answerRest(rest.call.res, 200, modelOf(rest, notebook, kernel));
}

async function changeSession(rest: RestCall): Promise<void> {
  const { call, kernels, id } = rest;
  const { path, kernel: asked, name, type } = await readJson(call, SESSION);
  const before = await find(rest);
  const kernel =
    asked?.id != null
      ? await kernels.find(asked.id)
      : asked?.name != null
        ? await kernels.start(folderOf(before.notebook.path), await askedSpec(call, asked.name))
        : before.kernel;
  const notebook = await call.service.changeNotebook(id, {
    contextId: kernel.context.id,
    path: path ?? before.notebook.path,
    name: name ?? before.notebook.name,
    type: type ?? before.notebook.type,
  });
  if (kernel.context.id !== before.kernel.context.id) await endUnused(rest, before.kernel);
  answerRest(call.res, 200, modelOf(rest, notebook, kernel));
}

/** Ends the former kernel of a session, unless another session uses it, as Jupyter Server does. */
async function endUnused({ call, kernels }: RestCall, { context }: KernelView): Promise<void> {
  const open = await call.service.notebooks(kernels.users);
  if (open.every(({ contextId }) => contextId !== context.id)) await kernels.end(context.id);
}

async function endSession(rest: RestCall): Promise<void> {
  const { notebook, kernel } = await find(rest);
  await rest.call.service.closeNotebook(notebook.id);
  await rest.kernels.end(kernel.context.id);
  answerNothing(rest.call.res);
}

interface Found {
  readonly notebook: Notebook;
  readonly kernel: KernelView;
}

/** @throws NOT_FOUND */
async function find({ call, kernels, id }: RestCall): Promise<Found> {
  const open = await call.service.notebooks(kernels.users);
  const notebook = open.find((each) => each.id === id);
  if (!notebook) throw new DomainError('NOT_FOUND', 'Session not found');
  return { notebook, kernel: await kernels.find(notebook.contextId) };
}

function modelOf({ connections }: RestCall, notebook: Notebook, kernel: KernelView) {
  return sessionModel(notebook, kernelModel(kernel, connections.of(kernel.context.id)));
}
