/** What the REST routes of Jupyter share: answers, bodies, models and kernel specs. */
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { DomainError } from '../../domain/errors.ts';
import type { Notebook } from '../../domain/notebook.ts';
import type { KernelView } from '../../service/contexts/kernels.ts';
import type { DoorCall } from '../openDoor.ts';
import type { Route } from '../shared/findRoute.ts';
import { answerJson } from '../shared/jsonAnswer.ts';
import { type Connections, type Kernels, shortened } from './kernels.ts';

/** The headers of every answer with a body. Answers describe a present state, so they must not be cached. */
export const ANSWER_HEADERS = {
  'Content-Type': 'application/json; charset=UTF-8',
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
} as const;

export function answerRest(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  answerJson(res, status, body, { ...ANSWER_HEADERS, ...headers });
}

export function answerText(res: ServerResponse, text: string): void {
  res.writeHead(200, { ...ANSWER_HEADERS, 'Content-Type': 'text/plain; charset=UTF-8' }).end(text);
}

export function answerNothing(res: ServerResponse): void {
  res.writeHead(204, { 'Cache-Control': 'no-store' }).end();
}

/** The body of every refusal of a Jupyter server. */
export function errorBody(message: string): object {
  return { message, reason: null };
}

/** A field of a body. */
export const TEXT = z.string('must be a string.').nullish();

export function bad(message: string, options?: ErrorOptions): DomainError {
  return new DomainError('BAD_USER_INPUT', message, {}, options);
}

// The kernel specs: one without an environment, and one for each environment that can serve new sessions.

/** The names of the environments in which kernels can be started, in alphabetical order. */
export async function environmentsOf({ service }: Pick<DoorCall, 'service'>): Promise<string[]> {
  const versions = await service.environments();
  const ready = versions.filter(({ environment }) => environment.state === 'READY');
  const names = new Set(ready.map(({ environment }) => environment.name));
  // Clients ask for KERNEL_NAME by default, and get a kernel without an environment. So an environment of that name
  // cannot be offered.
  names.delete(KERNEL_NAME);
  return [...names].sort();
}

/**
 * The environment of the kernel that a client asks for. Undefined: any, because the client names none. Null: no
 * environment.
 */
type AskedKernelSpec = string | null | undefined;

/** @param name of a kernel spec @throws BAD_USER_INPUT with `details.kernelName` if no kernel spec has this name */
export async function askedSpec(
  call: Pick<DoorCall, 'service'>,
  name: string | null | undefined,
): Promise<AskedKernelSpec> {
  if (!name) return undefined;
  if (name === KERNEL_NAME) return null;
  const names = await environmentsOf(call);
  if (names.includes(name)) return name;
  const kernelName = shortened(name);
  const all = [KERNEL_NAME, ...names].join(', ');
  throw new DomainError(
    'BAD_USER_INPUT',
    `The '${kernelName}' kernel is not available. Please pick another suitable kernel instead: ${all}.`,
    { kernelName },
  );
}

// The models of Jupyter's REST API (https://jupyter-server.readthedocs.io/en/latest/developers/rest-api.html).

export const KERNEL_NAME = 'python3';
/** The version of Jupyter Server whose API this is. */
export const API_VERSION = '2.15.0';

/** The kernel spec of an environment. @param environment null: no environment */
export function kernelSpec(environment: string | null) {
  return {
    name: environment ?? KERNEL_NAME,
    resources: {},
    spec: {
      argv: [],
      env: {},
      display_name: `${environment ?? 'Python 3'} (Cellhouse)`,
      language: 'python',
      interrupt_mode: 'message',
      metadata: {},
    },
  } as const;
}

interface KernelModel {
  readonly id: string;
  readonly name: string;
  readonly last_activity: string;
  readonly execution_state: 'starting' | 'idle' | 'busy';
  readonly connections: number;
}

/** @param connections how many WebSockets to this kernel are open at this gateway */
export function kernelModel(
  { context, environment, lastActivityAt, unfinished }: KernelView,
  connections: number,
): KernelModel {
  const isBusy = unfinished.length > 0;
  return {
    id: context.id,
    name: environment ?? KERNEL_NAME,
    last_activity: jupyterTime(lastActivityAt),
    execution_state: context.status === 'STARTING' ? 'starting' : isBusy ? 'busy' : 'idle',
    connections,
  };
}

export function sessionModel({ id, path, name, type }: Notebook, kernel: KernelModel) {
  return { id, path, name, type, kernel, notebook: { path, name } };
}

/** The time with microseconds. A Jupyter Server that uses this door by `--gateway-url` parses no other form. */
export function jupyterTime(at: Date): string {
  return at.toISOString().replace('Z', '000Z');
}

/** A call of this door. */
export interface RestCall {
  readonly call: DoorCall;
  readonly kernels: Kernels;
  readonly connections: Connections;
  /** When this gateway started. */
  readonly startedAt: Date;
  /** The variable part of the path, decoded. */
  readonly id: string;
}

export type RestRoute = Route<(rest: RestCall) => Promise<void> | void>;
