/**
 * The protocol of Jupyter Server and Kernel Gateway: REST, and WebSockets to kernels (docs/use/doors/jupyter.md). Any
 * gateway answers for any kernel.
 */
import type { ServerResponse } from 'node:http';
import { DomainError } from '../../domain/errors.ts';
import type { Refusal } from '../../service/refusal.ts';
import type { DoorDeps, DoorRequest, DoorUpgrade, OpenDoor, UnknownRequest } from '../openDoor.ts';
import type { JsonAnswer } from '../shared/jsonAnswer.ts';
import { createConnections, kernelsOf } from './kernels.ts';
import { ANSWER_HEADERS, API_VERSION, answerRest, answerText, errorBody } from './rest.ts';
import { serveRest } from './routes.ts';
import { serveChannels } from './serveChannels.ts';
import { V1_PROTOCOL } from './wire.ts';

/** The close code after which clients do not reconnect. */
const NORMAL = 1000;
/** The paths of a Jupyter server's pages. */
const PAGES = /^(\/(lab|tree)?)?\/?$/;
const NO_PAGES =
  'Cellhouse answers Jupyter clients here, and has no pages of its own. Give this address, without /lab or /tree, to a client.\n';
const CHANNELS_PATH = /^\/api\/kernels\/([^/]+)\/channels$/;
/** Longest `session_id` of a connection. Real ones are UUIDs. */
const MAX_SESSION_ID_CHARS = 100;

export function createJupyterDoor({ logger, newId, now }: DoorDeps): OpenDoor {
  const connections = createConnections();
  const rest = { connections, newId: () => newId(), startedAt: now() };
  return {
    name: 'jupyter',
    // Some clients (AutoGen) put nothing between the host and `/api`.
    mounts: { '/jupyter': '', '/api': '/api', '/tree': '/tree' },
    credentials: { headers: ['authorization', 'x-auth-token'], isInQuery: true },
    cors: {
      methods: 'GET, POST, PATCH, PUT, DELETE',
      headers: 'authorization, content-type, x-auth-token, x-xsrftoken',
      exposed: 'location',
    },
    refuse,
    enter: (request) => {
      const answer = openAnswerTo(request);
      if (answer !== null) return { type: 'open', answer };
      return { type: 'guarded', handle: (call) => serveRest(rest, call) };
    },
    upgrade: async (request): Promise<DoorUpgrade> => {
      const [, id] = CHANNELS_PATH.exec(request.path) ?? [];
      if (id === undefined) throw new DomainError('NOT_FOUND', 'Nothing is here.');
      const kernels = kernelsOf(request, newId);
      const kernel = await kernels.find(id);
      return {
        protocol: offers(request, V1_PROTOCOL) ? V1_PROTOCOL : null,
        open: (socket) => {
          const { service } = request;
          const clientSession = sessionIdOf(request);
          const left = connections.add({
            kernelId: kernel.context.id,
            reader: clientSession,
            replaced: () => socket.close(NORMAL, 'Another connection has this session_id'),
          });
          socket.onClose(left);
          serveChannels({ service, kernels, kernel, clientSession, socket, newId, now, logger });
        },
      };
    },
  };
}

/**
 * The answer to a request that needs no token. Null: the request needs one. Clients ask for the version before they
 * have a token. VS Code asks for the page `/tree`: if that redirects, it assumes that the server wants a password.
 */
function openAnswerTo({ method, path }: UnknownRequest): ((res: ServerResponse) => void) | null {
  if (method !== 'GET' && method !== 'HEAD') return null;
  if (path === '/api') return (res) => answerRest(res, 200, { version: API_VERSION });
  return PAGES.test(path) ? (res) => answerText(res, NO_PAGES) : null;
}

/**
 * Refusals as in Jupyter Server: 403 for a missing or wrong token, and for too many kernels; 501 for an unknown kernel
 * name, with other fields in its body.
 */
function refuse({ status, code, message, details, headers }: Refusal): JsonAnswer {
  const unknownKernel = details?.kernelName;
  if (unknownKernel !== undefined) {
    const body = { message, short_message: `${unknownKernel} not found` };
    return { status: 501, headers: { ...ANSWER_HEADERS, ...headers }, body };
  }
  const isForbidden = status === 401 || code === 'CONTEXT_LIMIT' || code === 'QUOTA_EXCEEDED';
  return {
    status: isForbidden ? 403 : status,
    headers: { ...ANSWER_HEADERS, ...headers },
    body: errorBody(message),
  };
}

function offers({ req }: DoorRequest, protocol: string): boolean {
  const offered = req.headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((each) => each.trim() === protocol);
}

/**
 * The name that the client gives itself. A later connection with the same name replaces this one, and continues where
 * it ended.
 */
function sessionIdOf({ query }: DoorRequest): string | null {
  const given = query.get('session_id');
  return given === null || given === '' || given.length > MAX_SESSION_ID_CHARS ? null : given;
}
