/** The handlers of the server's port: all paths over HTTP, and the WebSockets of GraphQL and of the doors. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { v7 } from 'uuid';
import { createDoorHandlers } from './doors/createDoorHandlers.ts';
import { createGraphiqlPage } from './graphql/graphiqlPage.ts';
import { createGraphqlHttp } from './graphql/graphqlHttp.ts';
import { createGraphqlRoute } from './graphql/graphqlRoute.ts';
import { createErrorMask } from './graphql/maskErrors.ts';
import { createAddressOf, createAuthenticate, createAuthenticateKey } from './http/authenticate.ts';
import { createCompress } from './http/compress.ts';
import { createCors, createOriginCheck, FILES_CORS, GRAPHQL_CORS } from './http/cors.ts';
import { createFailedLogins } from './http/failedLogins.ts';
import { createFileCounts } from './http/files/fileAnswers.ts';
import { createFilesRoute } from './http/files/filesRoute.ts';
import { createHttpRoutes } from './http/httpRoutes.ts';
import { createMetrics } from './http/metrics.ts';
import type { InFlight } from './http/openAnswers.ts';
import { createStaticFiles } from './http/staticFiles.ts';
import type { ServerDeps } from './serverDeps.ts';
import { createUpgrade } from './webSocket/upgrade.ts';
import { createWebSockets, type WebSockets } from './webSocket/webSockets.ts';

/** How many right keys are remembered for each address. One machine may use many sessions, each with its own key. */
const MAX_GOOD_KEYS = 128;
/** How many addresses are remembered. With {@link MAX_GOOD_KEYS}, this keeps each limiter of keys below 50 MB. */
const MAX_ADDRESSES_OF_KEYS = 4_096;

export interface HandlersDeps extends ServerDeps {
  readonly inFlight: InFlight;
  readonly isStopping: () => boolean;
}

export interface Handlers {
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void;
  readonly onUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly webSockets: WebSockets;
  /** Ends the streams of doors. Their clients continue at another gateway. */
  stopDoors(): void;
  /** Ends the handlers' background work. */
  close(): void;
}

/** Call this once for each server. Nothing listens yet. */
export function createHandlers(deps: HandlersDeps): Handlers {
  const { config, version, service, inFlight, isStopping, logger } = deps;
  const { maxBodyBytes, slowReaderTimeoutMs, corsOrigins } = config;
  const errorMask = createErrorMask({ logger, newErrorId: v7 });
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
    newErrorId: v7,
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
    newErrorId: v7,
  });
  const staticFiles = createStaticFiles();
  const isOriginAllowed = createOriginCheck(corsOrigins);
  return {
    onRequest: createHttpRoutes({
      ...deps,
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
