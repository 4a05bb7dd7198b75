/** Jupyter's sessions: notebooks (src/domain/notebook.ts) and the kernels that run them. */
import { DomainError } from '../../../domain/errors.ts';
import type { Notebook } from '../../../domain/notebook.ts';
import type { KernelView } from '../../../service/contexts/kernels.ts';
import { answerJson, answerNothing } from './answer.ts';
import { bad, bodyOf, objectOf, textOf } from './body.ts';
import { type AskedKernelSpec, askedSpec } from './kernelSpecs.ts';
import { kernelModel, sessionModel } from './models.ts';
import type { RestCall, RestRoute } from './route.ts';

export const SESSION_ROUTES: readonly RestRoute[] = [
  { path: /^\/api\/sessions$/, methods: { GET: listSessions, POST: openSession } },
  {
    path: /^\/api\/sessions\/([^/]+)$/,
    methods: { GET: getSession, PATCH: changeSession, DELETE: endSession },
  },
];

/** The folder of a document, in which its kernel begins. Null: the home. */
export function folderOf(path: string | null): string | null {
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
  answerJson(rest.call.res, 200, models);
}

/** A path that is open already keeps its kernel. */
async function openSession(rest: RestCall): Promise<void> {
  const { call, kernels } = rest;
  const body = await bodyOf(call);
  const path = textOf(body, 'path');
  if (path === null) throw bad('Missing field in JSON data: path');
  const kernel = objectOf(body, 'kernel');
  const spec = await askedSpec(call, textOf(kernel, 'name'));
  const open = await call.service.notebooks(kernels.users);
  const found = open.find((each) => each.path === path);
  const notebook =
    found ?? (await opened(rest, { ...body, path }, { id: textOf(kernel, 'id'), spec }));
  const model = modelOf(rest, notebook, await kernels.find(notebook.contextId));
  answerJson(call.res, 201, model, { Location: `/api/sessions/${notebook.id}` });
}

async function opened(
  { call, kernels }: RestCall,
  body: Readonly<Record<string, unknown>> & { readonly path: string },
  asked: { readonly id: string | null; readonly spec: AskedKernelSpec },
): Promise<Notebook> {
  const { path } = body;
  const name = textOf(body, 'name') ?? '';
  const type = textOf(body, 'type') ?? 'notebook';
  const kernel =
    asked.id === null
      ? await kernels.start(folderOf(path), asked.spec)
      : await kernels.find(asked.id);
  return await call.service.openNotebook({ contextId: kernel.context.id, path, name, type });
}

async function getSession(rest: RestCall): Promise<void> {
  const { notebook, kernel } = await find(rest);
  answerJson(rest.call.res, 200, modelOf(rest, notebook, kernel));
}

async function changeSession(rest: RestCall): Promise<void> {
  const { call, kernels, id } = rest;
  const body = await bodyOf(call);
  const asked = objectOf(body, 'kernel');
  const name = textOf(asked, 'name');
  const spec = await askedSpec(call, name);
  const before = await find(rest);
  const kernelId = textOf(asked, 'id');
  const kernel =
    kernelId !== null
      ? await kernels.find(kernelId)
      : name !== null
        ? await kernels.start(folderOf(before.notebook.path), spec)
        : before.kernel;
  const notebook = await call.service.changeNotebook(id, {
    contextId: kernel.context.id,
    path: textOf(body, 'path') ?? before.notebook.path,
    name: textOf(body, 'name') ?? before.notebook.name,
    type: textOf(body, 'type') ?? before.notebook.type,
  });
  if (kernel.context.id !== before.kernel.context.id) await endUnused(rest, before.kernel);
  answerJson(call.res, 200, modelOf(rest, notebook, kernel));
}

/** As Jupyter Server does: the kernel that a session had ends, unless another session has it. */
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
