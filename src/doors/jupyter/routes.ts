/** Jupyter's REST API. One row for each path and method. */
import { DomainError } from '../../domain/errors.ts';
import type { DoorCall } from '../openDoor.ts';
import { optionalBody, readJson } from '../shared/body.ts';
import { findRoute } from '../shared/findRoute.ts';
import { CONTENTS_ROUTES } from './contents.ts';
import { type Connections, kernelsOf } from './kernels.ts';
import {
  answerNothing,
  answerRest,
  askedSpec,
  environmentsOf,
  errorBody,
  jupyterTime,
  KERNEL_NAME,
  kernelModel,
  kernelSpec,
  type RestCall,
  type RestRoute,
  TEXT,
} from './rest.ts';
import { folderOf, SESSION_ROUTES } from './sessions.ts';

const ID = '([^/]+)';
const NEW_KERNEL = optionalBody({ name: TEXT, path: TEXT });

const ROUTES: readonly RestRoute[] = [
  { path: /^\/api\/status$/, methods: { GET: getStatus } },
  { path: /^\/api\/me$/, methods: { GET: getMe } },
  { path: /^\/api\/kernelspecs$/, methods: { GET: getSpecs } },
  { path: new RegExp(`^/api/kernelspecs/${ID}$`), methods: { GET: getSpec } },
  { path: /^\/api\/kernels$/, methods: { GET: listKernels, POST: startKernel } },
  { path: new RegExp(`^/api/kernels/${ID}$`), methods: { GET: getKernel, DELETE: endKernel } },
  { path: new RegExp(`^/api/kernels/${ID}/interrupt$`), methods: { POST: interrupt } },
  { path: new RegExp(`^/api/kernels/${ID}/restart$`), methods: { POST: restart } },
  ...SESSION_ROUTES,
  ...CONTENTS_ROUTES,
];

interface RoutesDeps {
  readonly connections: Connections;
  readonly newId: () => string;
  readonly startedAt: Date;
}

/** Answers a call. @throws DomainError NOT_FOUND for an unknown path; the errors of the service */
export async function serveRest(
  { connections, newId, startedAt }: RoutesDeps,
  call: DoorCall,
): Promise<void> {
  const method = call.method === 'HEAD' ? 'GET' : call.method;
  const found = findRoute(ROUTES, { method, path: call.path });
  if (found === null)
    throw new DomainError('NOT_FOUND', 'Nothing is here. See docs/use/doors/jupyter.md.');
  if (found.type === 'other-methods') return notAllowed(call, found.allowed);
  const kernels = kernelsOf(call, newId);
  await found.serve({ call, kernels, connections, startedAt, id: found.id });
}

function notAllowed({ res }: DoorCall, methods: readonly string[]): void {
  answerRest(res, 405, errorBody('Method Not Allowed'), { Allow: methods.join(', ') });
}

async function getStatus({ call, kernels, connections, startedAt }: RestCall): Promise<void> {
  const all = await kernels.list();
  const last = Math.max(startedAt.getTime(), ...all.map((each) => each.lastActivityAt.getTime()));
  // Only connections to the caller's own kernels are counted.
  const own = all.reduce((sum, { context }) => sum + connections.of(context.id), 0);
  answerRest(call.res, 200, {
    started: jupyterTime(startedAt),
    last_activity: jupyterTime(new Date(last)),
    kernels: all.length,
    connections: own,
  });
}

function getMe({ call }: RestCall): void {
  const username = call.principal.tokenId;
  const unknown = { initials: null, avatar_url: null, color: null };
  const identity = { username, name: username, display_name: username, ...unknown };
  answerRest(call.res, 200, { identity, permissions: {} });
}

async function getSpecs({ call }: RestCall): Promise<void> {
  const specs = [null, ...(await environmentsOf(call))].map(kernelSpec);
  const kernelspecs = Object.fromEntries(specs.map((spec) => [spec.name, spec]));
  answerRest(call.res, 200, { default: KERNEL_NAME, kernelspecs });
}

async function getSpec({ call, id }: RestCall): Promise<void> {
  const isKnown = id === KERNEL_NAME || (await environmentsOf(call)).includes(id);
  if (!isKnown) throw new DomainError('NOT_FOUND', 'Kernel spec not found');
  answerRest(call.res, 200, kernelSpec(id === KERNEL_NAME ? null : id));
}

async function listKernels({ call, kernels, connections }: RestCall): Promise<void> {
  const all = await kernels.list();
  const models = all.map((each) => kernelModel(each, connections.of(each.context.id)));
  answerRest(call.res, 200, models);
}

async function startKernel({ call, kernels }: RestCall): Promise<void> {
  const { name, path } = await readJson(call, NEW_KERNEL);
  const spec = await askedSpec(call, name);
  const kernel = await kernels.start(folderOf(path), spec);
  const headers = { Location: `/api/kernels/${kernel.context.id}` };
  answerRest(call.res, 201, kernelModel(kernel, 0), headers);
}

async function getKernel({ call, kernels, connections, id }: RestCall): Promise<void> {
  answerRest(call.res, 200, kernelModel(await kernels.find(id), connections.of(id)));
}

async function endKernel({ call, kernels, id }: RestCall): Promise<void> {
  await kernels.end(id);
  answerNothing(call.res);
}

async function interrupt({ call, kernels, id }: RestCall): Promise<void> {
  await kernels.interrupt(id);
  answerNothing(call.res);
}

async function restart({ call, kernels, connections, id }: RestCall): Promise<void> {
  answerRest(call.res, 200, kernelModel(await kernels.restart(id), connections.of(id)));
}
