/** Maps paths to handlers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { DomainError } from '../../domain/errors.ts';
import { FILES_PREFIX } from '../../domain/fileUrl.ts';
import { internalRefusal, refusalOf } from '../../service/refusal.ts';
import type { DoorRoute } from '../doors/doorRoute.ts';
import { type AddressOf, type Authenticate, isRefusal, tokenIn } from './authenticate.ts';
import { type Readiness, serveLivez, serveReadyz } from './health.ts';
import { METRICS_CONTENT_TYPE, type Metrics } from './metrics.ts';
import { limitArrival } from './openAnswers.ts';
import { refuse } from './refuse.ts';
import type { StaticFiles } from './staticFiles.ts';

export const GRAPHQL_PATH = '/graphql';

/** Answers every request to one path. */
export type Route = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

export interface HttpRoutesDeps {
  /** The version of this program. */
  readonly version: string;
  readonly graphqlRoute: Route;
  readonly filesRoute: Route;
  readonly doorRoute: DoorRoute;
  readonly staticFiles: StaticFiles;
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
  readonly authenticate: Authenticate;
  readonly addressOf: AddressOf;
  readonly isStopping: () => boolean;
  readonly newErrorId: () => string;
  readonly logger: Logger;
}

/** The `request` listener for Node's server. It never throws. Unexpected failures are logged and answered with 500. */
export function createHttpRoutes(
  deps: HttpRoutesDeps,
): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    route(deps, req, res).catch((err: unknown) => fail(deps, err, req, res));
  };
}

async function route(
  deps: HttpRoutesDeps,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  if (req.url?.startsWith(FILES_PREFIX)) return deps.filesRoute(req, res);
  if (await deps.doorRoute(req, res)) return;
  limitArrival(req);
  const path = pathOf(req);
  if (path === GRAPHQL_PATH) return deps.graphqlRoute(req, res);
  if (path === '/livez') return serveLivez(req, res, deps);
  if (path === '/readyz') return serveReadyz(res, deps.readiness, deps.isStopping());
  if (path === '/metrics') return serveMetrics(deps, req, res);
  if (await deps.staticFiles.serve(path, req, res)) return;
  refuse(req, res, {
    status: 404,
    code: 'NOT_FOUND',
    message: 'Nothing is here. The API is at /graphql.',
  });
}

async function serveMetrics(
  { authenticate, addressOf, metrics }: HttpRoutesDeps,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const origin = { door: 'graphql', address: addressOf(req) } as const;
  const principal = await authenticate(tokenIn(req.headers), origin);
  if (isRefusal(principal)) return refuse(req, res, principal);
  const text = await metrics.text(principal);
  res.writeHead(200, { 'Content-Type': METRICS_CONTENT_TYPE }).end(text);
}

function fail(
  { logger, newErrorId }: HttpRoutesDeps,
  err: unknown,
  req: IncomingMessage,
  res: ServerResponse,
): void {
  // The client disconnected. That is no error of the gateway, and nobody can receive an answer.
  if (req.destroyed && !req.complete) {
    logger.debug({ err }, 'A client went away.');
    return;
  }
  if (err instanceof DomainError && err.code === 'FORBIDDEN') {
    refuse(req, res, refusalOf(err));
    return;
  }
  const errorId = newErrorId();
  logger.error({ err, errorId, path: pathOf(req) }, 'Answering a request failed.');
  if (res.headersSent) res.destroy();
  else refuse(req, res, internalRefusal(errorId));
}

/** The path without its query and without one trailing slash. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  const path = url.split('?', 1)[0] ?? '/';
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}
