/**
 * The HTTP and WebSocket server.
 *
 * States: new -> listening -> stopping -> closed. A stopping server accepts no new connections. It ends each existing
 * one as soon as no call is in flight on it, so a client that reconnects to another gateway loses nothing. Calls that
 * take too long are answered with SHUTTING_DOWN. Then every connection is ended.
 */
import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHandlers, type Handlers } from './createHandlers.ts';
import { listen } from './http/listen.ts';
import { createInFlight, createOpenAnswers } from './http/openAnswers.ts';
import type { ServerDeps } from './serverDeps.ts';

/** Limit for a request's headers to arrive. The routes limit its body. */
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than the idle time of common proxies (60 s), so that the proxy closes an idle connection first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How long a stop waits for calls in flight. With the times below it stays under the 10 s that a stop may take. */
const DRAIN_TIMEOUT_MS = 7_000;
/** How long it then waits until the SHUTTING_DOWN answers are sent. */
const FLUSH_TIMEOUT_MS = 500;

export interface GatewayServer {
  /** @throws ListenError with a message for the operator, e.g. which process uses the port */
  listen(): Promise<AddressInfo>;
  /** Stops as described above. Idempotent. Aborting `signal` ends the waiting for calls in flight. */
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
