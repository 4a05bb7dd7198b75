/** The WebSockets of all doors. This file does what they have in common, so a door only receives and sends messages. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { within } from '../../async/within.ts';
import type { DoorSocket, DoorUpgrade } from '../../doors/openDoor.ts';
import type { TokenEnd } from '../../service/access/tokenEnd.ts';
import type { Refusal } from '../../service/refusal.ts';
import {
  closeSoon,
  createReaderWatch,
  keepAlive,
  SERVICE_RESTART,
  TRY_AGAIN_LATER,
  unsentBytes,
  watchArrivals,
} from '../webSocket/webSockets.ts';

/** Far more than one person needs. A token for many users may have many kernels, each with one or a few WebSockets. */
const MAX_SOCKETS_OF_TOKEN = 1_000;

const TOO_MANY: Refusal = {
  status: 429,
  code: 'TOO_MANY_WEBSOCKETS',
  message: `This token has ${MAX_SOCKETS_OF_TOKEN} WebSockets open at this gateway. Close some first.`,
};

/** Counts the WebSockets that each token has open, or is opening, so that no token takes all memory. */
export interface SocketsOfTokens {
  /**
   * Counts the socket until it is closed. Do not pass a socket that was destroyed: it would be counted for ever.
   * @returns the refusal if the token has too many sockets; null if the socket may be opened
   */
  enter(tokenId: string, socket: Duplex): Refusal | null;
}

export function createSocketsOfTokens(): SocketsOfTokens {
  const counts = new Map<string, number>();
  return {
    enter: (tokenId, socket) => {
      const count = counts.get(tokenId) ?? 0;
      if (count >= MAX_SOCKETS_OF_TOKEN) return TOO_MANY;
      counts.set(tokenId, count + 1);
      socket.once('close', () => {
        const left = (counts.get(tokenId) ?? 1) - 1;
        if (left === 0) counts.delete(tokenId);
        else counts.set(tokenId, left);
      });
      return null;
    },
  };
}

/** Null: go on now. Otherwise, wait for the promise first. Promises resolve in the order of the calls. */
type TokenGate = () => Promise<void> | null;

/** Delays messages while it is unknown whether the token is still valid. */
function createTokenGate({ fresh }: Pick<TokenEnd, 'fresh'>): TokenGate {
  let last: Promise<void> | null = null;
  return () => {
    const known = fresh();
    if (last === null && known === null) return null;
    const mine: Promise<void> = Promise.all([last, known]).then(() => {
      if (last === mine) last = null;
    });
    last = mine;
    return mine;
  };
}

/** "Policy Violation" (RFC 6455, 7.4.1): the token has ended. */
const POLICY_VIOLATION = 1008;
/** How long a door may prepare for the stop of the gateway. */
const PREPARE_LIMIT_MS = 1_000;
/**
 * How many received messages of one connection may wait for a token check. Together they have at most MAX_BODY_BYTES.
 */
const MAX_HELD = 256;

export interface DoorSockets {
  /** Completes an upgrade, and hands the open socket to the door. */
  open(upgrade: DoorUpgrade, tokenEnd: TokenEnd, { req, socket, head }: UpgradeParts): void;
  readonly count: number;
  /** Closes every connection with 1012, and resolves when that is done. Idempotent. */
  close(): Promise<void>;
}

export interface UpgradeParts {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

interface DoorSocketsDeps {
  readonly maxBodyBytes: number;
  readonly slowReaderTimeoutMs: number;
  readonly logger: Logger;
}

export function createDoorSockets(deps: DoorSocketsDeps): DoorSockets {
  const chosen = new WeakMap<IncomingMessage, string>();
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: deps.maxBodyBytes,
    perMessageDeflate: false,
    handleProtocols: (_offered, req) => chosen.get(req) ?? false,
  });
  /** For each WebSocket, the function by which its door prepares for the stop. */
  const prepares = new Map<WebSocket, () => Promise<void>>();
  let isClosing = false;

  async function closeForRestart(webSocket: WebSocket): Promise<void> {
    const closed = new Promise((resolve) => webSocket.once('close', resolve));
    const prepared = prepares
      .get(webSocket)?.()
      .catch((err: unknown) => {
        deps.logger.warn({ err }, 'A door could not prepare for the stop.');
      });
    if (prepared) await within(PREPARE_LIMIT_MS, prepared, () => undefined);
    if (webSocket.readyState === webSocket.CLOSED) return;
    closeSoon(webSocket, SERVICE_RESTART, 'Service restart');
    await closed;
  }

  return {
    open: ({ protocol, open }, tokenEnd, { req, socket, head }) => {
      if (protocol !== null) chosen.set(req, protocol);
      server.handleUpgrade(req, socket, head, (webSocket) => {
        const onStop = (prepare: () => Promise<void>) => void prepares.set(webSocket, prepare);
        webSocket.once('close', () => prepares.delete(webSocket));
        serve(deps, webSocket, { req, tokenEnd, open, onStop });
        if (isClosing) void closeForRestart(webSocket);
      });
    },
    get count() {
      return server.clients.size;
    },
    close: async () => {
      isClosing = true;
      await Promise.all([...server.clients].map(closeForRestart));
    },
  };
}

interface Served extends Pick<DoorUpgrade, 'open'>, Pick<DoorSocket, 'onStop'> {
  readonly req: IncomingMessage;
  readonly tokenEnd: TokenEnd;
}

function serve(
  { maxBodyBytes, slowReaderTimeoutMs: timeoutMs, logger }: DoorSocketsDeps,
  webSocket: WebSocket,
  { req, tokenEnd, open, onStop }: Served,
): void {
  const isClosed = new Promise<void>((resolve) => webSocket.once('close', () => resolve()));
  webSocket.on('error', (err) => logger.debug({ err }, 'A WebSocket of a door failed.'));
  const watch = createReaderWatch({
    timeoutMs,
    unsentBytes: () => unsentBytes(req.socket),
    onStuck: () => closeSoon(webSocket, TRY_AGAIN_LATER, 'Reads too slowly'),
  });
  const { arrived, payload } = watchArrivals(webSocket);
  const stopKeepAlive = keepAlive(webSocket, payload);
  const off = tokenEnd.on(() => closeSoon(webSocket, POLICY_VIOLATION, 'The token has ended'));
  webSocket.once('close', () => {
    stopKeepAlive();
    off();
  });
  const isOpen = () => webSocket.readyState === webSocket.OPEN;
  /** While it is unknown whether the token is still valid, no message is delivered or sent. */
  const [into, out] = [createTokenGate(tokenEnd), createTokenGate(tokenEnd)];
  const held = { messages: 0, bytes: 0 };
  const socket: DoorSocket = {
    protocol: webSocket.protocol,
    get isOpen() {
      return isOpen();
    },
    send: async (data) => {
      const passed = out();
      if (passed !== null) await passed;
      if (!isOpen()) return await isClosed;
      const { isTaken, taken } = watch.sending();
      webSocket.send(data, taken);
      return await isTaken;
    },
    arrived,
    onMessage: (listener) => {
      webSocket.on('message', (data, isBinary) => {
        const message = isBinary ? bytesOf(data) : String(data);
        const deliver = () => {
          // After our close frame no answer can be sent, so a late message is ignored.
          if (isOpen()) listener(message);
        };
        const passed = into();
        if (passed === null) return deliver();
        const bytes = Buffer.byteLength(message);
        if (held.messages === MAX_HELD || held.bytes + bytes > maxBodyBytes) {
          if (isOpen()) closeSoon(webSocket, TRY_AGAIN_LATER, 'The token cannot be checked now');
          return;
        }
        held.messages += 1;
        held.bytes += bytes;
        void passed.then(() => {
          held.messages -= 1;
          held.bytes -= bytes;
          deliver();
        });
      });
    },
    onStop,
    onClose: (listener) => void webSocket.once('close', listener),
    close: (code, reason) => closeSoon(webSocket, code, reason),
  };
  open(socket);
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
