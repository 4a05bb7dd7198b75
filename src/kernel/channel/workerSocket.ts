/** Dials and closes the WebSocket to a worker. Bounds limit what the peer may send and how long closing takes. */
import { type ClientOptions, type RawData, WebSocket } from 'ws';
import type { AgentAddress } from '../../domain/agentAddress.ts';

type CreateConnection = NonNullable<ClientOptions['createConnection']>;

/** Time for the close handshake, so that the last message sent (an ack) still arrives. */
const CLOSE_TIMEOUT_MS = 500;
/**
 * The agent's largest message is 16 MiB by default. JSON escapes of non-ASCII text can triple it, and the envelope
 * comes on top. All fragments of a message count together.
 */
const MAX_FRAME_BYTES = 64 * 1_048_576;
/** A fragment costs memory in addition to its bytes. The agent sends none. */
const MAX_FRAGMENTS = 1_024;

/**
 * Dials immediately. `ws` itself drops a peer that sends pings without reading the answers, after 60 pings.
 * @param after the last seq that is stored; the agent frees all messages up to it
 */
export function dialWorker(address: AgentAddress, after: number, epoch: number): WebSocket {
  return new WebSocket(`ws://agent/channels?after=${after}&epoch=${epoch}`, {
    // `ws` accepts any Duplex, but its types allow only sockets.
    createConnection: (() => address.open()) as unknown as CreateConnection,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    // Invalid UTF-8 becomes U+FFFD. If it were refused, one bad message would be replayed and end every later
    // connection.
    skipUTF8Validation: true,
  });
}

export function textOf(data: RawData): string {
  // With the default `binaryType`, `ws` passes a Buffer.
  return (data as Buffer).toString('utf8');
}

/** Closes the socket in any state. Resolves when it is closed, which takes at most half a second. */
export function closeSocket(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    // A socket that is already closing needs nothing more. `ws` throws if a socket whose upgrade was refused is
    // resumed.
    if (socket.readyState !== WebSocket.OPEN) return;
    // A paused socket would never read the peer's close frame.
    socket.resume();
    socket.close(1000);
  });
}
