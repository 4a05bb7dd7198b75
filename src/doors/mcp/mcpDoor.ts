/** The door for hosts of the Model Context Protocol: Streamable HTTP without sessions (docs/use/doors/mcp.md). */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { Logger } from 'pino';
import { withAbort } from '../../async/withAbort.ts';
import { DomainError, hasCode } from '../../domain/errors.ts';
import type { Refusal } from '../../service/refusal.ts';
import type { DoorCall, DoorDeps, OpenDoor } from '../openDoor.ts';
import type { JsonAnswer } from '../shared/jsonAnswer.ts';
import type { MakeServer, McpHandler } from './mcpHandler.ts';

// Cancellation in the protocol's former era. A client cancels a call by a notification with the id of the call's
// request. The notification is an HTTP request of its own, and the stream of the call stays open. Different clients use
// the same ids. So each client gets a session id from `initialize`, which only tells the ids of different clients
// apart.

const SESSION_HEADER = 'mcp-session-id';

interface Cancelling {
  /** Calls `work` for a message. `gone` is aborted when the client has gone, or has cancelled the message. */
  during<T>(call: DoorCall, message: unknown, work: (gone: AbortSignal) => Promise<T>): Promise<T>;
}

type Message = Readonly<Record<string, unknown>>;

function createCancelling(): Cancelling {
  const running = new Map<string, AbortController>();
  return {
    during: async (call, message, work) => {
      const id = isObject(message) ? cancelledBy(message) : undefined;
      if (id !== undefined) running.get(keyOf(call, id) ?? '')?.abort();
      const key = isObject(message) && 'method' in message ? keyOf(call, message.id) : null;
      if (key === null) return await work(call.gone);
      return await withAbort(call.gone, async (own) => {
        running.set(key, own);
        try {
          return await work(own.signal);
        } finally {
          if (running.get(key) === own) running.delete(key);
        }
      });
    },
  };
}

/** Null: the client has no session id, or the message no id. */
function keyOf({ req, principal }: DoorCall, id: unknown): string | null {
  const session = req.headers[SESSION_HEADER];
  if (typeof session !== 'string' || (typeof id !== 'string' && typeof id !== 'number'))
    return null;
  return JSON.stringify([principal.tokenId, session, id]);
}

/** The id of the request that the message cancels. */
function cancelledBy({ method, params }: Message): unknown {
  return method === 'notifications/cancelled' && isObject(params) ? params.requestId : undefined;
}

function isObject(value: unknown): value is Message {
  return typeof value === 'object' && value !== null;
}

/** The JSON-RPC code of errors at the HTTP level. None of the protocol's own codes fits. */
const SERVER_ERROR = -32_000;
const INTERNAL_ERROR = -32_603;
/** The URL of every request to the handler. Nothing uses it, and a real one would contain the client's `Host`. */
const ADDRESS = 'http://cellhouse/mcp';

/** The headers that a client in a web page sends. */
const CORS_HEADERS = [
  ...['content-type', 'authorization', 'x-auth-token', 'x-api-key'],
  ...['mcp-protocol-version', 'mcp-method', 'mcp-name', 'mcp-session-id', 'last-event-id'],
  ...['x-session-id', 'x-openwebui-chat-id', 'x-user-id'],
];

/** @param makeServer makes the server of a request. By default, the one of Cellhouse */
export function createMcpDoor(deps: DoorDeps, makeServer?: MakeServer): OpenDoor {
  // Loading the packages takes a tenth of a second and 30 MB, so they are loaded at the first request.
  let loading: Promise<McpHandler> | null = null;
  const load = () => {
    loading ??= import('./mcpHandler.ts').then(({ createHandler }) =>
      createHandler(deps, makeServer),
    );
    return loading;
  };
  const cancelling = createCancelling();
  return {
    name: 'mcp',
    mounts: { '/mcp': '' },
    credentials: { headers: ['authorization', 'x-auth-token', 'x-api-key'], isInQuery: false },
    cors: {
      // GET and DELETE are refused, but clients of the former era try them, and must be able to read the refusal.
      methods: 'POST, GET, DELETE',
      headers: CORS_HEADERS.join(', '),
      exposed: 'Mcp-Session-Id, Retry-After',
    },
    refuse,
    enter: () => ({
      type: 'guarded',
      handle: async (call) => {
        if (call.path !== '') throw new DomainError('NOT_FOUND', 'MCP is at /mcp itself.');
        await answer(await load(), cancelling, call, deps);
      },
    }),
  };
}

async function answer(
  handler: McpHandler,
  cancelling: Cancelling,
  call: DoorCall,
  { newId, logger }: DoorDeps,
): Promise<void> {
  const { req, method } = call;
  if (method !== 'POST') return call.refuse(NOT_ALLOWED);
  const text = await call.readBody();
  const body = parsed(text);
  await cancelling.during(call, body, async (gone) => {
    const headers = headersOf(req.headers);
    const request = new Request(ADDRESS, { method, headers, signal: gone, body: text });
    const response = await handler.fetch(request, body, { ...call, gone });
    if (methodOf(body) === 'initialize') response.headers.set(SESSION_HEADER, newId());
    await send({ ...call, gone }, response, methodOf(body) === 'subscriptions/listen', logger);
  });
}

/**
 * Only POST is allowed. GET would open a stream of server messages, and DELETE would end a session. Cellhouse has
 * neither.
 */
const NOT_ALLOWED: Refusal = {
  status: 405,
  code: 'BAD_USER_INPUT',
  message: 'Method not allowed.',
  headers: { Allow: 'POST' },
};

/**
 * Sends the response. If its body fails, the error is logged, and the connection is cut, so that the client notices.
 * @param isEndless whether the response never ends by itself, so that a stop of the gateway must end it
 */
export async function send(
  { res, gone, stopping, onStream }: Pick<DoorCall, 'res' | 'gone' | 'stopping' | 'onStream'>,
  response: Response,
  isEndless: boolean,
  logger: Logger,
): Promise<void> {
  res.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body === null) return void res.end();
  const stream = Readable.fromWeb(response.body as ReadableStream);
  const off = isEndless ? stopping.on(() => stream.destroy()) : () => {};
  if (isEndless) onStream();
  try {
    await pipeline(stream, res);
  } catch (error: unknown) {
    // An abort or a premature end means only that the client has gone, that it has cancelled the message, or that the
    // stream was ended above.
    if (!gone.aborted && !hasCode(error, 'ERR_STREAM_PREMATURE_CLOSE'))
      logger.error({ err: error, door: 'mcp' }, 'An answer of a door could not be completed.');
    res.destroy();
  } finally {
    off();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The handler reports this error itself.
    return undefined;
  }
}

function methodOf(body: unknown): unknown {
  return typeof body === 'object' && body !== null && 'method' in body ? body.method : undefined;
}

function headersOf(headers: DoorCall['req']['headers']): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers))
    for (const one of [value ?? []].flat()) all.append(name, one);
  return all;
}

/** In MCP, every refusal is a JSON-RPC error, even if the request was never read as a message. */
function refuse({ status, code, message, details, headers }: Refusal): JsonAnswer {
  const error = {
    code: status >= 500 && code === 'INTERNAL' ? INTERNAL_ERROR : SERVER_ERROR,
    message,
    data: { ...details, code },
  };
  return { status, body: { jsonrpc: '2.0', error, id: null }, headers };
}
