/**
 * GraphQL over WebSocket (the `graphql-transport-ws` protocol), on the path of the HTTP endpoint.
 *
 * A subscription's next event is pulled only when the operating system has taken the last one. So TCP slows down the
 * stream for a slow reader, and nothing piles up here. A reader that reads nothing at all is closed with 1013 after a
 * while, and cut if it does not even read that. A stream that is not over is never completed: the server closes its
 * connection with 1012, and the client resubscribes from its last seq.
 */

import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { handleProtocols, makeServer } from 'graphql-ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { type AddressOf, type Authenticate, isRefusal, tokenIn } from '../http/authenticate.ts';
import {
  createMarkedNumbers,
  type OperationsDeps,
  type SocketExtra,
  webSocketOperations,
} from './webSocketOperations.ts';

/**
 * The bytes of the current message that the operating system has not taken yet. `bufferedAmount`, `writableLength` and
 * `bytesWritten` change only when it has taken the whole message. Node's own socket timeout uses this value too, but it
 * has no public name.
 */
export function unsentBytes(
  socket: Socket & { readonly _handle?: { readonly writeQueueSize: number } | null },
): number {
  return socket._handle?.writeQueueSize ?? 0;
}

/** "Service Restart" (RFC 6455 registry). Clients reconnect after it. */
export const SERVICE_RESTART = 1012;
/**
 * "Try Again Later" (same registry), for a client that reads nothing, or whose token cannot be checked at the moment.
 * The client may reconnect and resume after its last seq.
 */
export const TRY_AGAIN_LATER = 1013;
/** A connection is cut if the client does not answer our close frame within this time. */
const CLOSE_TIMEOUT_MS = 500;

/** Closes the socket. After {@link CLOSE_TIMEOUT_MS}, unread data is discarded, including the close frame. */
export function closeSoon(socket: WebSocket, code: number, reason: string): void {
  const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.close(code, reason);
}

// Detects connections that are dead although they were never closed.

const PING_INTERVAL_MS = 15_000;
/** Generous, because a pong may wait behind output that a slow reader has not read yet. */
const SILENCE_LIMIT_MS = 60_000;

/**
 * Sends pings, and cuts a connection that is silent for longer than {@link SILENCE_LIMIT_MS}. The returned function
 * ends this.
 * @param payload returns the payload of a ping. The answer to the ping has the same payload
 */
export function keepAlive(socket: WebSocket, payload: () => string = () => ''): () => void {
  let silentMs = 0;
  const heard = () => {
    silentMs = 0;
  };
  const timer = setInterval(() => {
    silentMs += PING_INTERVAL_MS;
    if (silentMs > SILENCE_LIMIT_MS) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.ping(payload());
  }, PING_INTERVAL_MS);
  socket.on('pong', heard).on('message', heard);
  return () => clearInterval(timer);
}

// Finds out what has arrived at a client. A WebSocket answers a ping with the payload of the ping (RFC 6455, 5.5.3),
// and everything that was sent before the ping has arrived before it. Pings are numbered, because a client may answer
// only the last of several.

interface Arrivals {
  /** Resolves with whether everything sent before has arrived. False: the socket was closed first. */
  arrived(): Promise<boolean>;
  /** The payload for pings that other code sends on this socket. Their answers count, too. */
  payload(): string;
}

export function watchArrivals(socket: WebSocket): Arrivals {
  /** By the number of the ping. */
  const waiting = new Map<number, (hasArrived: boolean) => void>();
  let last = 0;
  socket.on('pong', (data) => {
    const answered = Number(String(data));
    for (const [number, resolve] of waiting) {
      // The answer to a ping that was never sent says nothing.
      if (!(number <= answered && answered <= last)) continue;
      waiting.delete(number);
      resolve(true);
    }
  });
  socket.once('close', () => {
    for (const resolve of waiting.values()) resolve(false);
    waiting.clear();
  });
  return {
    arrived: async () => {
      if (socket.readyState !== socket.OPEN) return false;
      last += 1;
      const number = last;
      socket.ping(String(number));
      return await new Promise<boolean>((resolve) => waiting.set(number, resolve));
    },
    payload: () => String(last),
  };
}

// Detects a reader that reads nothing, by comparing how many bytes are still unsent.

/** Checks per timeout. A check sees that there was progress, but not when, so the cut may be one interval late. */
const POLLS_PER_TIMEOUT = 4;

interface ReaderWatch {
  /** Call this when a message is handed to the socket. */
  sending(): Sending;
}

interface Sending {
  /** Call this when the operating system has taken the message, or never will. */
  readonly taken: () => void;
  /** Resolves when `taken` is called. */
  readonly isTaken: Promise<void>;
}

interface ReaderWatchDeps {
  readonly timeoutMs: number;
  /** Unsent bytes of the message being written. It must change even when only a part of the message is taken. */
  readonly unsentBytes: () => number;
  /** Called if nothing of a waiting message was taken for `timeoutMs` to 1.25 times `timeoutMs`. */
  readonly onStuck: () => void;
}

/**
 * Watches one connection. A connection that takes some bytes now and then is slow, but not stuck, however much is
 * waiting.
 */
export function createReaderWatch({
  timeoutMs,
  unsentBytes,
  onStuck,
}: ReaderWatchDeps): ReaderWatch {
  let waiting = 0;
  let unsentBefore = 0;
  let pollsWithoutMove = 0;
  let timer: NodeJS.Timeout | undefined;

  function poll(): void {
    const unsent = unsentBytes();
    pollsWithoutMove = unsent === unsentBefore ? pollsWithoutMove + 1 : 0;
    unsentBefore = unsent;
    if (pollsWithoutMove < POLLS_PER_TIMEOUT) return;
    clearInterval(timer);
    onStuck();
  }

  function taken(): void {
    waiting -= 1;
    pollsWithoutMove = 0;
    if (waiting === 0) clearInterval(timer);
  }

  return {
    sending() {
      waiting += 1;
      if (waiting === 1) timer = setInterval(poll, timeoutMs / POLLS_PER_TIMEOUT);
      let resolve: () => void = () => undefined;
      const isTaken = new Promise<void>((done) => {
        resolve = done;
      });
      return {
        isTaken,
        taken: () => {
          taken();
          resolve();
        },
      };
    },
  };
}

/** Time for a client to send `connection_init` with its token. */
const INIT_TIMEOUT_MS = 10_000;
/** A close code of graphql-ws. Its client does not reconnect after it. */
const UNAUTHORIZED = 4401;
const INTERNAL_ERROR = 4500;

interface WebSocketsDeps extends OperationsDeps {
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
    const gone = new AbortController();
    // Each call that waits for a worker adds a listener.
    setMaxListeners(0, gone.signal);
    socket.on('error', (err) => logger.debug({ err }, 'A WebSocket failed.'));
    const extra: SocketExtra = {
      headers: req.headers,
      address: deps.addressOf(req),
      principal: null,
      gone: gone.signal,
      // The connection is closed before its streams end, so that none of them is completed.
      holdTo: (token) => {
        socket.once(
          'close',
          token.on(() => closeSoon(socket, UNAUTHORIZED, 'Unauthorized')),
        );
      },
      tryLater: () => closeSoon(socket, TRY_AGAIN_LATER, 'The database is away'),
      calls: new Map(),
      // Deferred, so that the `complete` message of the call is sent first.
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
      gone.abort();
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
  // No closure may keep `data` while it is being sent. The socket already holds the bytes, and the text of a thousand
  // subscribers would be kept in addition. A failed send means that the connection is gone, which its `close` event
  // handles.
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
