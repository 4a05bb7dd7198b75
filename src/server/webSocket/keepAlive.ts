/** Finds out about connections that are dead without having said so. */
import type { WebSocket } from 'ws';

const PING_INTERVAL_MS = 15_000;
/** Generous: a pong may wait behind output that a slow reader has yet to take. */
const SILENCE_LIMIT_MS = 60_000;

/** Pings, and cuts the connection when nothing has come back for too long. Ends with the function it gives back. */
export function keepAlive(socket: WebSocket): () => void {
  let silentMs = 0;
  const heard = () => {
    silentMs = 0;
  };
  const timer = setInterval(() => {
    silentMs += PING_INTERVAL_MS;
    if (silentMs > SILENCE_LIMIT_MS) socket.terminate();
    else if (socket.readyState === socket.OPEN) socket.ping();
  }, PING_INTERVAL_MS);
  socket.on('pong', heard).on('message', heard);
  return () => clearInterval(timer);
}
