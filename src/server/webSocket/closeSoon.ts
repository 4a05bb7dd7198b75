import type { WebSocket } from 'ws';

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
