/** Detects connections that are dead although they were never closed. */
import type { WebSocket } from 'ws';

const PING_INTERVAL_MS = 15_000;
/** Generous, because a pong may wait behind output that a slow reader has not read yet. */
const SILENCE_LIMIT_MS = 60_000;

/**
 * Sends pings, and cuts a connection that is silent for {@link SILENCE_LIMIT_MS}. The returned function ends this.
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
