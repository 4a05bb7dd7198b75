/** Handles `/graphql` over HTTP: everything that is decided before GraphQL sees a request. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Principal } from '../../service/principal.ts';
import type { Refusal } from '../../service/refusal.ts';
import { type AddressOf, type Authenticate, isRefusal, tokenIn } from '../http/authenticate.ts';
import type { Compress } from '../http/compress.ts';
import type { Cors } from '../http/cors.ts';
import type { Route } from '../http/httpRoutes.ts';
import { guardReader, type InFlight, watchReader } from '../http/openAnswers.ts';
import { BodyTooLargeError, readBody, refuse } from '../http/refuse.ts';
import type { GraphiqlPage } from './graphiqlPage.ts';
import { asksForWhole, type GraphqlHttp, sendWhole, wholeAnswer } from './graphqlHttp.ts';
import { bodyParams } from './plugins.ts';

export interface GraphqlRouteDeps {
  readonly graphql: GraphqlHttp;
  readonly graphiql: GraphiqlPage;
  readonly authenticate: Authenticate;
  readonly addressOf: AddressOf;
  readonly inFlight: InFlight;
  readonly cors: Cors;
  readonly compress: Compress;
  readonly maxBodyBytes: number;
  /** A caller is disconnected if it reads nothing of its pending answer for this long. */
  readonly slowReaderTimeoutMs: number;
}

/**
 * Checks in this order: cross-origin requests, the page for browsers, the token (401), the media type (415), the body's
 * size (413). Then GraphQL answers. If the client disconnects, code that was
 * accepted still runs to the end.
 */
export function createGraphqlRoute(deps: GraphqlRouteDeps): Route {
  return async (req, res) => {
    if (deps.cors(req, res)) return;
    if (wantsPage(req)) return deps.graphiql.serve(req, res);
    const origin = { door: 'graphql', address: deps.addressOf(req) } as const;
    const principal = await deps.authenticate(tokenIn(req.headers), origin);
    if (isRefusal(principal)) return refuse(req, res, principal);
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
  // The client left during authentication: `close` has been emitted, and the rest of the body never comes.
  if (res.destroyed) return;
  const end = inFlight.begin();
  const gone = new AbortController();
  res.once('close', () => {
    end();
    if (!res.writableFinished) gone.abort();
  });
  guardReader(res);
  try {
    const body = req.method === 'POST' ? await readBody(req, res, maxBodyBytes) : undefined;
    const params = body === undefined ? undefined : bodyParams(body);
    const context = {
      principal,
      res,
      gone: gone.signal,
      onStream: end,
      ...(params && { params }),
    };
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
    refuse(req, res, error.refusal);
  }
}

function wantsPage({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html');
}

/** Only JSON is accepted. Across origins, a browser sends it only with our permission, unlike forms and uploads. */
function isJson({ headers }: IncomingMessage): boolean {
  return /^application\/(graphql\+)?json\s*(;|$)/i.test(headers['content-type'] ?? '');
}

const UNSUPPORTED_MEDIA_TYPE: Refusal = {
  status: 415,
  code: 'BAD_USER_INPUT',
  message: 'The body must be JSON: send `Content-Type: application/json`.',
};
