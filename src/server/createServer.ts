/**
 * The HTTP and WebSocket server.
 *
 * States: new -> listening -> stopping -> closed. Stopping takes no new connections, and ends each there is as soon as no call
 * is in flight on it: whoever comes back to another gateway then loses nothing. Calls that take too long are answered with
 * SHUTTING_DOWN; then every connection is ended.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { v7 } from 'uuid';
import type { Config } from '../config/config.ts';
import type { EndStatus } from '../domain/execution.ts';
import type { MessageCounts } from '../domain/messageCounts.ts';
import type { InterpreterService } from '../service/service.ts';
import { createGraphiqlPage } from './graphql/graphiqlPage.ts';
import { createGraphqlHttp } from './graphql/graphqlHttp.ts';
import { createGraphqlRoute } from './graphql/graphqlRoute.ts';
import { createErrorMask } from './graphql/maskErrors.ts';
import type { QueryLimits } from './graphql/queryLimits.ts';
import { createAuthenticate } from './http/authenticate.ts';
import { createCompress } from './http/compress.ts';
import { createCors, createOriginCheck, type IsOriginAllowed } from './http/cors.ts';
import type { Readiness } from './http/health.ts';
import { createHttpRoutes, GRAPHQL_PATH, pathOf } from './http/httpRoutes.ts';
import { createInFlight } from './http/inFlight.ts';
import { listen } from './http/listen.ts';
import { createMetrics } from './http/metrics.ts';
import { createStaticFiles } from './http/staticFiles.ts';
import { createWebSockets } from './webSocket/webSockets.ts';

/** For a whole request to arrive, headers first: slow senders hold no connection for ever. Answers may take as long as they take. */
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the idle time of common proxies (60 s), so that it is they who close a connection first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** What stopping waits for calls in flight; with the times below it stays under the 10 s that a stop may take. */
const DRAIN_TIMEOUT_MS = 7_000;
/** What it then waits for the answers that say SHUTTING_DOWN. */
const FLUSH_TIMEOUT_MS = 500;

export interface ServerDeps {
  readonly config: Pick<
    Config,
    'host' | 'port' | 'maxBodyBytes' | 'maxResponseBytes' | 'corsOrigins' | 'slowReaderTimeoutMs'
  > &
    QueryLimits;
  readonly service: InterpreterService;
  readonly token: string;
  readonly readiness: () => Promise<Readiness>;
  /** How executions ended since the start, for /metrics. */
  readonly endedExecutions: () => ReadonlyMap<EndStatus, number>;
  readonly messageCounts: () => Readonly<MessageCounts>;
  /** How many subscriptions follow output here. */
  readonly outputFollowers: () => number;
  readonly logger: Logger;
}

export interface GatewayServer {
  /** @throws ListenError with a message for the operator, e.g. who uses the port */
  listen(): Promise<AddressInfo>;
  /** Stops as said above; idempotent. An aborted signal ends the waiting for calls in flight. */
  close(signal?: AbortSignal): Promise<void>;
}

export function createServer(deps: ServerDeps): GatewayServer {
  const { config, service, token, readiness, endedExecutions, messageCounts, logger } = deps;
  const stopping = new AbortController();
  let isStopping = false;
  const inFlight = createInFlight();
  const authenticate = createAuthenticate(token);
  const errorMask = createErrorMask({ logger, newErrorId: v7 });
  const graphql = createGraphqlHttp({
    schemaDeps: { service, stopping: stopping.signal, maxResponseBytes: config.maxResponseBytes },
    errorMask,
    limits: config,
    logger,
  });
  const shared = { graphql, authenticate, inFlight, logger };
  const webSockets = createWebSockets({
    ...shared,
    errorMask,
    maxMessageBytes: config.maxBodyBytes,
    slowReaderTimeoutMs: config.slowReaderTimeoutMs,
  });
  const metrics = createMetrics({
    service,
    endedExecutions,
    messageCounts,
    connections: () => ({
      inFlightCalls: inFlight.count,
      webSockets: webSockets.count,
      outputFollowers: deps.outputFollowers(),
    }),
  });
  const routes = createHttpRoutes({
    ...shared,
    graphqlRoute: createGraphqlRoute({
      ...shared,
      graphiql: createGraphiqlPage(),
      cors: createCors(config.corsOrigins),
      compress: createCompress(),
      maxBodyBytes: config.maxBodyBytes,
      slowReaderTimeoutMs: config.slowReaderTimeoutMs,
    }),
    staticFiles: createStaticFiles(),
    metrics,
    readiness,
    isStopping: () => isStopping,
  });
  const answering = new Set<ServerResponse>();
  const serve = (req: IncomingMessage, res: ServerResponse): void => {
    answering.add(res);
    res.once('close', () => answering.delete(res));
    if (isStopping) endAfter(res);
    routes(req, res);
  };
  const server = createHttpServer(
    {
      noDelay: true,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    },
    serve,
  );
  // Refusals come before the body is asked for (Expect: 100-continue), so that a client need not send it in vain.
  server.on('checkContinue', serve);
  const isOriginAllowed = createOriginCheck(config.corsOrigins);
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => socket.destroy());
    const refusal = upgradeRefusal(req, { isStopping, isOriginAllowed });
    if (refusal === null) webSockets.handleUpgrade(req, socket, head);
    else refuseUpgrade(socket, refusal);
  });

  async function drain(signal: AbortSignal | undefined): Promise<void> {
    isStopping = true;
    server.close();
    for (const res of answering) endAfter(res);
    webSockets.retire();
    await inFlight.untilNone(DRAIN_TIMEOUT_MS, signal);
    stopping.abort();
    await inFlight.untilNone(FLUSH_TIMEOUT_MS);
    await webSockets.close();
    server.closeAllConnections();
    metrics.close();
  }

  let closing: Promise<void> | null = null;
  return {
    listen: () => listen(server, config.host, config.port),
    close(signal) {
      closing ??= drain(signal);
      return closing;
    },
  };
}

/** Its connection ends with this answer, so that no further request comes on it. */
function endAfter(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close');
}

/** Null: it may be upgraded. */
function upgradeRefusal(
  req: IncomingMessage,
  server: { readonly isStopping: boolean; readonly isOriginAllowed: IsOriginAllowed },
): string | null {
  if (server.isStopping) return '503 Service Unavailable';
  if (pathOf(req) !== GRAPHQL_PATH) return '404 Not Found';
  return server.isOriginAllowed(req) ? null : '403 Forbidden';
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
