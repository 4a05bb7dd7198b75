/**
 * The HTTP and WebSocket server.
 *
 * States: new -> listening -> stopping -> closed. A stopping server accepts no new connections. It ends each existing
 * connection as soon as no call is in flight on it, so a client that reconnects to another gateway loses nothing. Calls
 * that take too long are answered with SHUTTING_DOWN. Then every connection is ended.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { OpenDoor } from '../doors/openDoor.ts';
import type { Refusals } from '../service/access/refusals.ts';
import type { SessionKeys } from '../service/access/sessionKeys.ts';
import type { TokenCache } from '../service/access/tokenCache.ts';
import type { Service } from '../service/service.ts';
import { createDoorHandlers } from './doors/createDoorHandlers.ts';
import type { DoorUpgradeRoute } from './doors/doorUpgrade.ts';
import { createGraphiqlPage } from './graphql/graphiqlPage.ts';
import { createGraphqlHttp } from './graphql/graphqlHttp.ts';
import { createGraphqlRoute } from './graphql/graphqlRoute.ts';
import { createErrorMask } from './graphql/maskErrors.ts';
import { createAddressOf, createAuthenticate, createAuthenticateKey } from './http/authenticate.ts';
import { createCompress } from './http/compress.ts';
import {
  createCors,
  createOriginCheck,
  FILES_CORS,
  GRAPHQL_CORS,
  type IsOriginAllowed,
} from './http/cors.ts';
import { createFailedLogins } from './http/failedLogins.ts';
import { createFileCounts } from './http/files/fileAnswers.ts';
import { createFilesRoute } from './http/files/filesRoute.ts';
import type { Readiness } from './http/health.ts';
import { createHttpRoutes, GRAPHQL_PATH, pathOf } from './http/httpRoutes.ts';
import { listen } from './http/listen.ts';
import { createMetrics, type MetricsDeps } from './http/metrics.ts';
import { createInFlight, createOpenAnswers, type InFlight } from './http/openAnswers.ts';
import { createStaticFiles } from './http/staticFiles.ts';
import { createWebSockets, type WebSockets } from './webSocket/webSockets.ts';

/** How long a request's headers may take to arrive. The routes limit the time for the body. */
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the idle time of common proxies (60 s), so that the proxy closes an idle connection first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How long a stop waits for calls in flight. With the times below it stays under the 10 s that a stop may take. */
const DRAIN_TIMEOUT_MS = 7_000;
/** How long a stop then waits until the SHUTTING_DOWN answers are sent. */
const FLUSH_TIMEOUT_MS = 500;

export interface GatewayServer {
  /** @throws ListenError with a message for the operator, e.g. which process uses the port */
  listen(): Promise<AddressInfo>;
  /** Stops as described above. Idempotent. Aborting `signal` ends the wait for calls in flight. */
  close(signal?: AbortSignal): Promise<void>;
}

export function createServer(deps: ServerDeps): GatewayServer {
  const { config, service } = deps;
  let isStopping = false;
  const inFlight = createInFlight();
  const openAnswers = createOpenAnswers();
  const handlers = createHandlers({ ...deps, inFlight, isStopping: () => isStopping });
  const server = serverOf({
    ...handlers,
    onRequest: (req, res) => {
      openAnswers.add(res);
      handlers.onRequest(req, res);
    },
  });

  async function stop(signal: AbortSignal | undefined): Promise<void> {
    isStopping = true;
    server.close();
    openAnswers.endConnections();
    handlers.webSockets.retire();
    const doorsStopped = handlers.stopDoors();
    await inFlight.untilNone(DRAIN_TIMEOUT_MS, signal);
    service.stopWaiting();
    await inFlight.untilNone(FLUSH_TIMEOUT_MS);
    await Promise.all([handlers.webSockets.close(), doorsStopped]);
    server.closeAllConnections();
    handlers.close();
  }

  let stopping: Promise<void> | null = null;
  return {
    listen: () => listen(server, config.host, config.port),
    close(signal) {
      stopping ??= stop(signal);
      return stopping;
    },
  };
}

function serverOf({ onRequest, onUpgrade }: Pick<Handlers, 'onRequest' | 'onUpgrade'>): Server {
  const server = createHttpServer({
    noDelay: true,
    // An upload may take longer than any other request (`openAnswers.ts`).
    requestTimeout: 0,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  });
  server.on('request', onRequest);
  // With `Expect: 100-continue`, a request can be refused before the client sends its body.
  server.on('checkContinue', onRequest);
  server.on('upgrade', onUpgrade);
  return server;
}

/** What the server needs to serve requests and to report on the gateway. */
export interface ServerDeps
  extends Pick<
    MetricsDeps,
    | 'version'
    | 'onOwnEvent'
    | 'onClaimed'
    | 'databaseFaults'
    | 'messageCounts'
    | 'processMetrics'
    | 'auditStatus'
    | 'lastBackupAt'
    | 'egressTotals'
  > {
  readonly config: Config;
  readonly service: Service;
  /** The doors that DOORS opens. */
  readonly doors: readonly OpenDoor[];
  /** AUTH_TOKEN. */
  readonly token: string;
  readonly refusals: Refusals;
  readonly tokenCache: Pick<TokenCache, 'isFresh' | 'holderOf' | 'read'>;
  readonly sessionKeys: Pick<SessionKeys, 'holderOf' | 'signerOf'>;
  readonly readiness: () => Promise<Readiness>;
  /** How many subscriptions follow output here. */
  readonly outputFollowers: () => number;
  readonly logger: Logger;
}

// The handlers of the server's port: all paths over HTTP, and the WebSockets of GraphQL and of the doors.

/** How many right keys are remembered for each address. One machine may use many sessions, each with its own key. */
const MAX_GOOD_KEYS = 128;
/** How many addresses are remembered. With {@link MAX_GOOD_KEYS}, this keeps each limiter of keys below 50 MB. */
const MAX_ADDRESSES_OF_KEYS = 4_096;

interface HandlersDeps extends ServerDeps {
  readonly inFlight: InFlight;
  readonly isStopping: () => boolean;
}

interface Handlers {
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void;
  readonly onUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly webSockets: WebSockets;
  /** Ends the streams of doors, and closes their WebSockets. Their clients continue at another gateway. */
  stopDoors(): Promise<void>;
  /** Ends the handlers' background work. */
  close(): void;
}

/** Call this once for each server. Nothing listens yet. */
function createHandlers(deps: HandlersDeps): Handlers {
  const { config, version, service, inFlight, isStopping, logger } = deps;
  const { maxBodyBytes, slowReaderTimeoutMs, corsOrigins } = config;
  const { newErrorId } = deps.refusals;
  const errorMask = createErrorMask({ logger, newErrorId });
  const graphql = createGraphqlHttp({ version, service, errorMask, limits: config, logger });
  const clock = () => performance.now();
  const ofKeys = { maxGood: MAX_GOOD_KEYS, maxAddresses: MAX_ADDRESSES_OF_KEYS };
  const failedLogins = createFailedLogins(config.authFailuresPerMinute, clock);
  const failedKeys = createFailedLogins(config.authFailuresPerMinute, clock, ofKeys);
  // The lookup of a signature tries every open session, so each lookup counts as an attempt.
  const ofSignatures = { ...ofKeys, maxTogether: 1 };
  const failedSignatures = createFailedLogins(config.authFailuresPerMinute, clock, ofSignatures);
  const authenticate = createAuthenticate({ ...deps, failedLogins });
  const authenticateKey = createAuthenticateKey({ ...deps, failedKeys, failedSignatures });
  const addressOf = createAddressOf(config.trustedProxies);
  const shared = { graphql, authenticate, addressOf, inFlight, slowReaderTimeoutMs, logger };
  const webSockets = createWebSockets({ ...shared, errorMask, maxMessageBytes: maxBodyBytes });
  const connections = () => ({
    inFlightCalls: inFlight.count,
    webSockets: webSockets.count,
    outputFollowers: deps.outputFollowers(),
  });
  const fileCounts = createFileCounts();
  const doors = createDoorHandlers({
    ...deps,
    ...shared,
    authenticateKey,
    fileCounts,
    newErrorId,
  });
  const metrics = createMetrics({
    ...deps,
    ...doors,
    connections,
    failedLogins: [failedLogins, failedKeys, failedSignatures],
    fileCounts: () => fileCounts,
  });
  const graphqlRoute = createGraphqlRoute({
    ...shared,
    graphiql: createGraphiqlPage(),
    cors: createCors(corsOrigins, GRAPHQL_CORS),
    compress: createCompress(),
    maxBodyBytes,
  });
  const filesRoute = createFilesRoute({
    ...shared,
    service,
    cors: createCors(corsOrigins, FILES_CORS),
    counts: fileCounts,
    newErrorId,
  });
  const staticFiles = createStaticFiles();
  const isOriginAllowed = createOriginCheck(corsOrigins);
  return {
    onRequest: createHttpRoutes({
      ...deps,
      newErrorId,
      authenticate,
      addressOf,
      graphqlRoute,
      filesRoute,
      doorRoute: doors.doorRoute,
      metrics,
      staticFiles,
    }),
    onUpgrade: createUpgrade({ ...doors, webSockets, isOriginAllowed, isStopping }),
    webSockets,
    stopDoors: doors.stop,
    close: () => metrics.close(),
  };
}

// Decides which connections may become WebSockets.

interface UpgradeDeps {
  readonly doorUpgrade: DoorUpgradeRoute;
  readonly webSockets: WebSockets;
  readonly isOriginAllowed: IsOriginAllowed;
  readonly isStopping: () => boolean;
}

/** The `upgrade` listener for Node's server. */
function createUpgrade(
  deps: UpgradeDeps,
): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return (req, socket, head) => {
    socket.on('error', () => socket.destroy());
    if (!deps.isStopping() && deps.doorUpgrade(req, socket, head)) return;
    const refusal = refusedUpgrade(req, deps);
    if (refusal === null) deps.webSockets.handleUpgrade(req, socket, head);
    else socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  };
}

/** The status line of the refusal. Null: the connection may be upgraded. */
function refusedUpgrade(
  req: IncomingMessage,
  { isStopping, isOriginAllowed }: UpgradeDeps,
): string | null {
  if (isStopping()) return '503 Service Unavailable';
  if (pathOf(req) !== GRAPHQL_PATH) return '404 Not Found';
  return isOriginAllowed(req) ? null : '403 Forbidden';
}
