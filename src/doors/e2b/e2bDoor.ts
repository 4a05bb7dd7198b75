/** The API of E2B, for its unmodified SDKs (docs/doors/e2b.md). A sandbox is a session. */
import type {
  DoorCall,
  DoorDeps,
  KeyShown,
  OpenDoor,
  OpenRequest,
  UnknownRequest,
} from '../openDoor.ts';
import { answerError, answerNoPort, errorAnswer } from './answer.ts';
import { serveControl } from './control/routes.ts';
import { hasExpired, isSignedBy } from './envd/files/signature.ts';
import { serveEnvd } from './envd/routes.ts';
import { serveInterpreter } from './interpreter/routes.ts';
import { inSandbox } from './sandbox/inSandbox.ts';
import { SANDBOX_NAMES, userOf } from './sandbox/names.ts';
import { type Surface, surfaceOf } from './surface.ts';

const CORS_HEADERS = [
  ...['content-type', 'content-encoding', 'authorization', 'x-api-key', 'x-access-token'],
  ...['e2b-sandbox-id', 'e2b-sandbox-port', 'e2b-traffic-access-token'],
  ...['connect-protocol-version', 'connect-timeout-ms', 'keepalive-ping-interval'],
  ...['browser', 'lang', 'lang_version', 'package_version', 'publisher', 'sdk_runtime', 'system'],
];

export function createE2bDoor(deps: DoorDeps): OpenDoor {
  return {
    name: 'e2b',
    // The URLs that the SDKs sign have no part of the path before `/files`.
    mounts: { '/e2b': '', '/files': '/files' },
    credentials: { headers: ['x-api-key', 'authorization', 'x-auth-token'], isInQuery: false },
    keyShown,
    cors: {
      methods: 'GET, POST, PUT, PATCH, DELETE',
      headers: CORS_HEADERS.join(', '),
      exposed: 'x-next-token, retry-after',
    },
    refuse: errorAnswer,
    isUpload: ({ method, path }) => method === 'POST' && plain(path) === '/files',
    handleOpen,
    handle: async (call) => {
      const { type } = surfaceAt(call);
      const at = { ...call, path: plain(call.path) };
      if (type === 'control') return await serveControl(at, deps);
      const serve = type === 'interpreter' ? serveInterpreter : serveEnvd;
      await inSandbox(at, type === 'signed', (sandbox) => serve(sandbox, deps));
    },
  };
}

/** With a slash at the end of its address, an SDK sends two slashes in a row. */
function plain(path: string): string {
  return path.replace(/\/{2,}/g, '/');
}

function surfaceAt({ req, path, query }: UnknownRequest): Surface {
  return surfaceOf({ req, path: plain(path), query });
}

/** What needs no key, because nothing can be there, or because no key would help. */
function handleOpen({ req, res, method, path }: OpenRequest): boolean {
  const query = new URLSearchParams(req.url?.split('?')[1] ?? '');
  const surface = surfaceAt({ req, method, path, query });
  if (surface.type === 'no-sandbox')
    answerError(res, 400, 'The header E2b-Sandbox-Id is missing: it names the sandbox.');
  else if (surface.type === 'no-port') answerNoPort(res, surface.sandboxId, surface.port);
  else if (surface.type === 'signed' && hasExpired(query))
    answerError(res, 401, 'signature is already expired');
  else return false;
  return true;
}

/** On the data plane, a key to the sandbox, as `create` and `connect` give it. */
function keyShown(request: UnknownRequest): KeyShown | null {
  const { headers } = request.req;
  const surface = surfaceAt(request);
  switch (surface.type) {
    case 'signed': {
      const { method, query } = request;
      return {
        type: 'signature',
        signature: query.get('signature') ?? '',
        isBy: (key) => isSignedBy(method, query, key),
        names: SANDBOX_NAMES,
      };
    }
    case 'interpreter':
    case 'envd': {
      const traffic = surface.type === 'interpreter' ? headers['e2b-traffic-access-token'] : null;
      const key = headers['x-access-token'] ?? traffic ?? null;
      const userOfSandbox = (holder: DoorCall['principal']) => userOf(holder, surface.sandboxId);
      const where = 'as header `X-Access-Token`';
      return { type: 'key', key: key?.toString() ?? null, where, userOf: userOfSandbox };
    }
    default:
      return null;
  }
}
