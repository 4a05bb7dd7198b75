/** The API of E2B. */

import { DomainError } from '../../../domain/errors.ts';
import type { DoorCall, DoorDeps } from '../../openDoor.ts';
import { findRoute } from '../../shared/findRoute.ts';
import { answerError } from '../sandbox.ts';
import { listAll, listSandboxes } from './listSandboxes.ts';
import { metricsOf, metricsOfMany } from './metrics.ts';
import {
  type ControlRoute,
  connect,
  createSandbox,
  getSandbox,
  inWordsOfE2b,
  killSandbox,
  openSandbox,
  refresh,
  type Serve,
  setTimeoutOf,
  updateNetwork,
} from './sandboxes.ts';

// What the API of E2B has and Cellhouse does not. If the sandbox does not exist, the answer is 404 instead of 501.

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Below the path of a sandbox: the method, and what Cellhouse does not have. */
const OF_SANDBOXES: Readonly<Record<string, readonly [method: string, what: string]>> = {
  pause: ['POST', 'A sandbox cannot be paused'],
  resume: ['POST', 'A sandbox cannot be paused or resumed'],
  snapshots: ['POST', 'There are no snapshots of sandboxes'],
  fork: ['POST', 'A sandbox cannot be forked'],
  logs: ['GET', 'There are no logs of sandboxes; the audit has what was run'],
};

const OTHERS: Readonly<Record<string, string>> = {
  snapshots: 'There are no snapshots',
  templates: 'Templates cannot be made or changed here: a template is an environment of Cellhouse',
  volumes: 'There are no volumes',
  secrets: 'There are no secrets',
  teams: 'There are no teams',
};

const UNSUPPORTED_ROUTES: readonly ControlRoute[] = [
  ...Object.entries(OF_SANDBOXES).map(([name, [method, what]]) => ({
    path: new RegExp(`^(?:/v\\d+)?/sandboxes/([^/]+)/${name}$`),
    methods: { [method]: refuseOf(what) },
  })),
  ...Object.entries(OTHERS).map(([name, what]) => ({
    path: new RegExp(`^(?:/v\\d+)?/${name}(?:/.*)?$`),
    methods: Object.fromEntries(METHODS.map((method) => [method, refuse(what)])),
  })),
];

function refuseOf(what: string): Serve {
  return async (request) => {
    await openSandbox(request);
    await refuse(what)(request);
  };
}

function refuse(what: string): Serve {
  return async ({ call }) => answerError(call.res, 501, `${what}.`);
}

const CONTROL_ROUTES: readonly ControlRoute[] = [
  { path: /^\/sandboxes$/, methods: { GET: listAll, POST: createSandbox } },
  { path: /^\/v2\/sandboxes$/, methods: { GET: listSandboxes, POST: createSandbox } },
  { path: /^\/sandboxes\/metrics$/, methods: { GET: metricsOfMany } },
  { path: /^\/sandboxes\/([^/]+)$/, methods: { GET: getSandbox, DELETE: killSandbox } },
  { path: /^(?:\/v2)?\/sandboxes\/([^/]+)\/connect$/, methods: { POST: connect } },
  { path: /^\/sandboxes\/([^/]+)\/timeout$/, methods: { POST: setTimeoutOf } },
  { path: /^\/sandboxes\/([^/]+)\/refreshes$/, methods: { POST: refresh } },
  { path: /^\/sandboxes\/([^/]+)\/metrics$/, methods: { GET: metricsOf } },
  { path: /^\/sandboxes\/([^/]+)\/network$/, methods: { PUT: updateNetwork } },
  ...UNSUPPORTED_ROUTES,
];

/** @throws DomainError */
export async function serveControl(call: DoorCall, deps: DoorDeps): Promise<void> {
  const found = findRoute(CONTROL_ROUTES, call);
  if (found === null)
    throw new DomainError('NOT_FOUND', `There is no ${call.method} ${call.path} here.`);
  if (found.type === 'other-methods') return refuseMethod(call, found.allowed);
  try {
    await found.serve({ call, sandboxId: found.id, deps });
  } catch (error: unknown) {
    throw inWordsOfE2b(error);
  }
}

function refuseMethod({ res, method, path }: DoorCall, allowed: readonly string[]): void {
  res.setHeader('Allow', allowed.join(', '));
  answerError(res, 405, `${method} ${path} is not allowed. Use ${allowed.join(' or ')}.`);
}
