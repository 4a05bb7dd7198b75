/** WebSockets of doors: whatever is the same for each, so that a door only gets messages, and sends some. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { DoorSocket } from '../../doors/doorSocket.ts';
import type { DoorUpgrade } from '../../doors/openDoor.ts';
import type { Ending } from '../../service/access/ending.ts';
import { closeSoon, SERVICE_RESTART, TRY_AGAIN_LATER } from '../webSocket/closeSoon.ts';
import { keepAlive } from '../webSocket/keepAlive.ts';
import { createReaderWatch } from '../webSocket/readerWatch.ts';
import { unsentBytes } from '../webSocket/unsentBytes.ts';
import { createGate } from './gate.ts';

/** "Policy Violation" (RFC 6455, 7.4.1): the token has ended. */
const POLICY_VIOLATION = 1008;
/** How many messages of one connection wait to come in. In bytes, they may be as large as one message may be. */
const MAX_HELD = 256;

export interface DoorSockets {
  /** Completes an upgrade, and hands the open socket to the door. */
  open(upgrade: DoorUpgrade, ending: Ending, { req, socket, head }: UpgradeParts): void;
  readonly count: number;
  /** Closes every connection with 1012. Idempotent. */
  close(): void;
}

export interface UpgradeParts {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

export interface DoorSocketsDeps {
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
  let isClosing = false;
  return {
    open: ({ protocol, open }, ending, { req, socket, head }) => {
      if (protocol !== null) chosen.set(req, protocol);
      server.handleUpgrade(req, socket, head, (webSocket) => {
        serve(deps, webSocket, req, ending, open);
        if (isClosing) closeForRestart(webSocket);
      });
    },
    get count() {
      return server.clients.size;
    },
    close() {
      isClosing = true;
      for (const webSocket of server.clients) closeForRestart(webSocket);
    },
  };
}

function closeForRestart(webSocket: WebSocket): void {
  closeSoon(webSocket, SERVICE_RESTART, 'Service restart');
}

function serve(
  { maxBodyBytes, slowReaderTimeoutMs: timeoutMs, logger }: DoorSocketsDeps,
  webSocket: WebSocket,
  req: IncomingMessage,
  ending: Ending,
  open: DoorUpgrade['open'],
): void {
  const isClosed = new Promise<void>((resolve) => webSocket.once('close', () => resolve()));
  webSocket.on('error', (err) => logger.debug({ err }, 'A WebSocket of a door failed.'));
  const watch = createReaderWatch({
    timeoutMs,
    unsentBytes: () => unsentBytes(req.socket),
    onStuck: () => closeSoon(webSocket, TRY_AGAIN_LATER, 'Reads too slowly'),
  });
  const stopKeepAlive = keepAlive(webSocket);
  const off = ending.on(() => closeSoon(webSocket, POLICY_VIOLATION, 'The token has ended'));
  webSocket.once('close', () => {
    stopKeepAlive();
    off();
  });
  const isOpen = () => webSocket.readyState === webSocket.OPEN;
  /** While nobody knows whether the token is still valid, nothing comes in and nothing goes out. */
  const [into, out] = [createGate(ending), createGate(ending)];
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
          if (isOpen()) closeSoon(webSocket, TRY_AGAIN_LATER, 'Nobody can check the token');
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
    onClose: (listener) => void webSocket.once('close', listener),
    close: (code, reason) => closeSoon(webSocket, code, reason),
  };
  open(socket);
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
