/** `/graphql` over HTTP: everything that is decided before GraphQL sees a request. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '../../service/principal.ts';
import { type Authenticate, unauthenticated } from '../http/authenticate.ts';
import type { Compress } from '../http/compress.ts';
import type { Cors } from '../http/cors.ts';
import type { Route } from '../http/httpRoutes.ts';
import type { InFlight } from '../http/inFlight.ts';
import { BodyTooLargeError, readBody } from '../http/readBody.ts';
import { type Refusal, refuse } from '../http/refuse.ts';
import { bodyParams } from './bodyParams.ts';
import type { GraphiqlPage } from './graphiqlPage.ts';
import type { GraphqlHttp } from './graphqlHttp.ts';
import { asksForWhole, sendWhole, wholeAnswer } from './wholeAnswer.ts';

export interface GraphqlRouteDeps {
  readonly graphql: GraphqlHttp;
  readonly graphiql: GraphiqlPage;
  readonly authenticate: Authenticate;
  readonly inFlight: InFlight;
  readonly cors: Cors;
  readonly compress: Compress;
  readonly maxBodyBytes: number;
  /** A caller that has taken nothing of what waits for it for so long is cut. */
  readonly slowReaderTimeoutMs: number;
}

/**
 * In this order: other origins, the page for browsers, the token (401), the media type (415), the body's size (413); then
 * GraphQL. A client that goes away ends none of this: its code runs to the end.
 */
export function createGraphqlRoute(deps: GraphqlRouteDeps): Route {
  return async (req, res) => {
    if (deps.cors(req, res)) return;
    if (wantsPage(req)) return deps.graphiql.serve(req, res);
    const principal = deps.authenticate(req.headers);
    if (!principal) return refuse(req, res, unauthenticated(req));
    if (req.method === 'POST' && !isJson(req)) return refuse(req, res, UNSUPPORTED_MEDIA_TYPE);
    await answer(deps, principal, req, res);
  };
}

async function answer(
  deps: GraphqlRouteDeps,
  principal: Principal,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { graphql, inFlight, compress, maxBodyBytes, slowReaderTimeoutMs } = deps;
  const end = inFlight.begin();
  res.once('close', end);
  // From the start: on a connection that this answer shares with one before, that one's limit may be in force still.
  res.on('timeout', () => {
    if (res.writableLength > 0) res.destroy();
  });
  try {
    const body = req.method === 'POST' ? await readBody(req, res, maxBodyBytes) : undefined;
    const params = body === undefined ? undefined : bodyParams(body);
    const context = { principal, res, onStream: end, ...(params && { params }) };
    if (asksForWhole(req, context)) {
      sendWhole(req, res, await wholeAnswer(graphql, req, context), compress);
      if (!res.writableFinished) watchReader(res, slowReaderTimeoutMs);
    } else {
      compress(req, res);
      watchReader(res, slowReaderTimeoutMs);
      await graphql.serve(req, res, context);
    }
  } catch (error: unknown) {
    if (!(error instanceof BodyTooLargeError)) throw error;
    refuse(req, res, bodyTooLarge(error.message, maxBodyBytes));
  }
}

/** `timeout` comes when the connection has taken nothing for so long. If nothing waits for it, there is just nothing to say yet. */
function watchReader(res: ServerResponse, timeoutMs: number): void {
  const watch = () => res.setTimeout(timeoutMs);
  watch();
  // Yoga takes the time limit off a connection that it is about to stream into.
  res.on('pipe', watch);
}

function wantsPage({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html');
}

/** What only a script with our permission can send across origins; forms and uploads are refused. */
function isJson({ headers }: IncomingMessage): boolean {
  return /^application\/(graphql\+)?json\s*(;|$)/i.test(headers['content-type'] ?? '');
}

const UNSUPPORTED_MEDIA_TYPE: Refusal = {
  status: 415,
  code: 'BAD_USER_INPUT',
  message: 'The body must be JSON: send `Content-Type: application/json`.',
};

function bodyTooLarge(message: string, limit: number): Refusal {
  return { status: 413, code: 'BAD_USER_INPUT', message, details: { limit } };
}
