/** The WebSocket to a worker: dialled with bounds on whatever the peer may send, and closed in bounded time. */
import { type RawData, WebSocket } from 'ws';
import { dialOptions, type KernelTarget } from './kernelTarget.ts';

/** For the close handshake, so that what was sent last (an ack) still arrives. */
const CLOSE_TIMEOUT_MS = 500;
/** The agent's largest message (16 MiB by default), three times for JSON escapes of non-ASCII text, and its envelope. A
 *  message that comes in fragments counts as a whole. */
const MAX_FRAME_BYTES = 64 * 1_048_576;
/** Fragments cost memory beside their bytes. Our agent sends none; a plain Jupyter Server does not either. */
const MAX_FRAGMENTS = 1_024;

/**
 * A peer that pings without reading the answers is cut off by `ws` itself, after 60 of them.
 * @param after the last seq that is stored for good
 */
export function dialWorker(target: KernelTarget, after: number, epoch: number): WebSocket {
  const { url, ...options } = dialOptions(target, after, epoch);
  return new WebSocket(url, {
    ...options,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    // Bytes that are no UTF-8 become U+FFFD; refusing them would let one bad message end every connection after it.
    skipUTF8Validation: true,
  });
}

export function textOf(data: RawData): string {
  // `ws` gives a Buffer for the default binaryType.
  return (data as Buffer).toString('utf8');
}

/** Says goodbye, whatever state the socket is in. Resolves when it is closed, within half a second. */
export function closeSocket(socket: WebSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.readyState === WebSocket.CONNECTING) socket.terminate();
    // One that is closing already needs nothing, and `ws` throws if it is resumed when its upgrade was refused.
    if (socket.readyState !== WebSocket.OPEN) return;
    // A paused socket would never see the other side's goodbye.
    socket.resume();
    socket.close(1000);
  });
}
