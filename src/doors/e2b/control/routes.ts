/** The API of E2B. */
import { DomainError } from '../../../domain/errors.ts';
import type { DoorCall, DoorDeps } from '../../openDoor.ts';
import { findRoute } from '../../shared/findRoute.ts';
import { answerError } from '../answer.ts';
import { createSandbox } from './createSandbox.ts';
import { inWordsOfE2b } from './inWordsOfE2b.ts';
import { connect, refresh, setTimeoutOf } from './life.ts';
import { listAll, listSandboxes } from './listSandboxes.ts';
import { metricsOf, metricsOfMany } from './metrics.ts';
import { NOT_YET_ROUTES } from './notYet.ts';
import type { ControlRoute } from './route.ts';
import { getSandbox, killSandbox, updateNetwork } from './sandbox.ts';

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
  ...NOT_YET_ROUTES,
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
