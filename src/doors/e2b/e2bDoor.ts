/** The API of E2B, for its unmodified SDKs (docs/use/doors/e2b.md). A sandbox is a session. */
import type { ServerResponse } from 'node:http';
import type { DoorDeps, Entry, KeyShown, OpenDoor, UnknownRequest } from '../openDoor.ts';
import { serveControl } from './control/routes.ts';
import { hasExpired, isSignedBy } from './envd/files.ts';
import { serveEnvd } from './envd/routes.ts';
import { serveInterpreter } from './interpreter/routes.ts';
import {
  answerError,
  answerNoPort,
  errorAnswer,
  inSandbox,
  SANDBOX_NAMES,
  type Surface,
  surfaceOf,
  userOf,
} from './sandbox.ts';

const CORS_HEADERS = [
  ...['content-type', 'content-encoding', 'authorization', 'x-api-key', 'x-access-token'],
  ...['e2b-sandbox-id', 'e2b-sandbox-port', 'e2b-traffic-access-token'],
  ...['connect-protocol-version', 'connect-timeout-ms', 'keepalive-ping-interval'],
  ...['browser', 'lang', 'lang_version', 'package_version', 'publisher', 'sdk_runtime', 'system'],
];

export function createE2bDoor(deps: DoorDeps): OpenDoor {
  return {
    name: 'e2b',
    // The SDKs sign URLs whose path is `/files`, without `/e2b` before it.
    mounts: { '/e2b': '', '/files': '/files' },
    credentials: { headers: ['x-api-key', 'authorization', 'x-auth-token'], isInQuery: false },
    cors: {
      methods: 'GET, POST, PUT, PATCH, DELETE',
      headers: CORS_HEADERS.join(', '),
      exposed: 'x-next-token, retry-after',
    },
    refuse: errorAnswer,
    enter: (request) => enter(deps, request),
  };
}

/**
 * On the data plane, a request has a key to the sandbox, from the answer to `create` or `connect`, or a signature by
 * such a key.
 */
function enter(deps: DoorDeps, request: UnknownRequest): Entry {
  const { req, method, query } = request;
  // With a slash at the end of its address, an SDK sends two slashes in a row.
  const path = request.path.replace(/\/{2,}/g, '/');
  const surface = surfaceOf({ req, path, query });
  switch (surface.type) {
    case 'control':
      return { type: 'guarded', handle: (call) => serveControl({ ...call, path }, deps) };
    case 'no-sandbox':
      return open((res) => answerError(res, 400, NO_SANDBOX));
    case 'no-port':
      return open((res) => answerNoPort(res, surface.sandboxId, surface.port));
    case 'signed':
      if (hasExpired(query)) return open((res) => answerError(res, 401, EXPIRED));
      return dataPlane({
        type: 'signature',
        signature: query.get('signature') ?? '',
        isBy: (key) => isSignedBy(method, query, key),
        names: SANDBOX_NAMES,
      });
    case 'interpreter':
    case 'envd':
      return dataPlane(keyShown(req.headers, surface));
    default:
      return surface satisfies never;
  }

  function dataPlane(shown: KeyShown): Entry {
    const serve = surface.type === 'interpreter' ? serveInterpreter : serveEnvd;
    return {
      type: 'guarded',
      shown,
      isUpload: method === 'POST' && path === '/files',
      handle: (call) =>
        inSandbox({ ...call, path }, surface.type === 'signed', (sandbox) => serve(sandbox, deps)),
    };
  }
}

const NO_SANDBOX = 'The header E2b-Sandbox-Id is missing: it names the sandbox.';
const EXPIRED = 'signature is already expired';

function open(answer: (res: ServerResponse) => void): Entry {
  return { type: 'open', answer };
}

function keyShown(
  headers: UnknownRequest['req']['headers'],
  { type, sandboxId }: Extract<Surface, { readonly type: 'interpreter' | 'envd' }>,
): KeyShown {
  const traffic = type === 'interpreter' ? headers['e2b-traffic-access-token'] : null;
  const key = headers['x-access-token'] ?? traffic ?? null;
  return {
    type: 'key',
    key: key?.toString() ?? null,
    where: 'as header `X-Access-Token`',
    userOf: (holder) => userOf(holder, sandboxId),
  };
}
