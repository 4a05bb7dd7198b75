/**
 * GraphQL over WebSocket (the `graphql-transport-ws` protocol), on the path of the HTTP endpoint.
 *
 * A subscription's next event is pulled only when the operating system has taken the last one. So TCP slows down the
 * stream for a slow reader, and nothing piles up here. A reader that reads nothing at all is closed with 1013 after a
 * while, and cut if it does not even read that. A stream that is not over is never completed: the server closes its
 * connection with 1012, and the client resubscribes from its last seq.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { handleProtocols, makeServer } from 'graphql-ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Authenticate, isRefusal } from '../http/authenticate.ts';
import type { AddressOf } from '../http/clientAddress.ts';
import { tokenIn } from '../http/givenToken.ts';
import { closeSoon, SERVICE_RESTART, TRY_AGAIN_LATER } from './closeSoon.ts';
import { keepAlive } from './keepAlive.ts';
import { createMarkedNumbers } from './markedNumbers.ts';
import { createReaderWatch, type ReaderWatch } from './readerWatch.ts';
import { unsentBytes } from './unsentBytes.ts';
import {
  type OperationsDeps,
  type SocketExtra,
  webSocketOperations,
} from './webSocketOperations.ts';

/** Time for a client to send `connection_init` with its token. */
const INIT_TIMEOUT_MS = 10_000;
/** A close code of graphql-ws. Its client does not reconnect after it. */
const UNAUTHORIZED = 4401;
const INTERNAL_ERROR = 4500;

export interface WebSocketsDeps extends OperationsDeps {
  readonly authenticate: Authenticate;
  readonly addressOf: AddressOf;
  readonly maxMessageBytes: number;
  /** A connection is closed if nothing of a waiting message was taken for this long. */
  readonly slowReaderTimeoutMs: number;
  readonly logger: Logger;
}

export interface WebSockets {
  /** Takes over an upgrade request. */
  handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  readonly count: number;
  /**
   * From now on, closes each connection with 1012 as soon as no call is in flight on it. Clients continue their streams
   * at another gateway.
   */
  retire(): void;
  /** Closes every connection with 1012. Idempotent. */
  close(): Promise<void>;
}

export function createWebSockets(deps: WebSocketsDeps): WebSockets {
  const { authenticate, maxMessageBytes, logger } = deps;
  const numbers = createMarkedNumbers();
  const protocol = makeServer<Record<string, unknown>, SocketExtra>({
    ...webSocketOperations(deps, numbers),
    connectionInitWaitTimeout: INIT_TIMEOUT_MS,
    async onConnect({ connectionParams, extra }) {
      const origin = { door: 'graphql', address: extra.address } as const;
      let who = await authenticate(tokenIn(connectionParams ?? {}), origin);
      const isAway = () => isRefusal(who) && who.code === 'DATABASE_UNAVAILABLE';
      if (isRefusal(who) && !isAway()) who = await authenticate(tokenIn(extra.headers), origin);
      if (isAway()) extra.tryLater();
      if (isRefusal(who)) return false;
      extra.principal = who;
      extra.holdTo(who.tokenEnd);
      return true;
    },
  });
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    handleProtocols,
  });

  const connections = new Map<WebSocket, SocketExtra>();
  let isRetiring = false;

  function retireIfQuiet(socket: WebSocket, { calls }: SocketExtra): void {
    if (isRetiring && calls.size === 0) socket.close(SERVICE_RESTART, 'Service restart');
  }

  function serve(socket: WebSocket, req: IncomingMessage): void {
    const isClosed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', (err) => logger.debug({ err }, 'A WebSocket failed.'));
    const extra: SocketExtra = {
      headers: req.headers,
      address: deps.addressOf(req),
      principal: null,
      // The connection is closed before its streams end, so that none of them is completed.
      holdTo: (token) => {
        socket.once(
          'close',
          token.on(() => closeSoon(socket, UNAUTHORIZED, 'Unauthorized')),
        );
      },
      tryLater: () => closeSoon(socket, TRY_AGAIN_LATER, 'The database is away'),
      calls: new Map(),
      // Deferred, so that the answer of the call is sent first.
      onCallEnd: () => setImmediate(retireIfQuiet, socket, extra),
    };
    connections.set(socket, extra);
    const watch = createReaderWatch({
      timeoutMs: deps.slowReaderTimeoutMs,
      unsentBytes: () => unsentBytes(req.socket),
      onStuck: () => closeSoon(socket, TRY_AGAIN_LATER, 'Reads too slowly'),
    });
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        // On a closing socket, streams wait until it is closed, so that they do not go on without a reader.
        send: (data) =>
          socket.readyState === socket.OPEN
            ? send(socket, numbers.unmarked(data), watch)
            : isClosed,
        close: (code, reason) => socket.close(code, reason),
        onMessage: (take) => onMessage(socket, take, logger),
      },
      extra,
    );
    const stopKeepAlive = keepAlive(socket);
    socket.once('close', (code, reason) => {
      stopKeepAlive();
      connections.delete(socket);
      for (const end of extra.calls.values()) end();
      closed(code, reason.toString()).catch((err: unknown) =>
        logger.error({ err }, 'Cleaning up after a WebSocket failed.'),
      );
    });
  }

  return {
    handleUpgrade: (req, socket, head) => server.handleUpgrade(req, socket, head, serve),
    get count() {
      return server.clients.size;
    },
    retire() {
      isRetiring = true;
      for (const [socket, extra] of connections) retireIfQuiet(socket, extra);
    },
    async close() {
      await Promise.all([...server.clients].map(closeForRestart));
      server.close();
    },
  };
}

/** Resolves when the operating system has taken the data. This is what slows down a subscription for a slow reader. */
function send(socket: WebSocket, data: string, watch: ReaderWatch): Promise<void> {
  const { isTaken, taken } = watch.sending();
  // No closure may keep `data` until then. The socket already holds the bytes, and the text of a thousand subscribers
  // would be kept in addition. A failed send means that the connection is gone, which its `close` event handles.
  socket.send(data, taken);
  return isTaken;
}

function onMessage(socket: WebSocket, take: (data: string) => Promise<void>, logger: Logger): void {
  socket.on('message', (data) => {
    // After our close frame no answer can be sent, so a late operation is ignored.
    if (socket.readyState !== socket.OPEN) return;
    take(String(data)).catch((err: unknown) => {
      logger.error({ err }, 'Handling a WebSocket message failed.');
      socket.close(INTERNAL_ERROR, 'Internal error');
    });
  });
}

function closeForRestart(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === socket.CLOSED) return resolve();
    socket.once('close', () => resolve());
    closeSoon(socket, SERVICE_RESTART, 'Service restart');
  });
}
