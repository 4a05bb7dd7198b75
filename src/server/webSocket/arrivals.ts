/**
 * Finds out what has arrived at a client. A WebSocket answers a ping with the payload of the ping (RFC 6455, 5.5.3),
 * and everything that was sent before the ping has arrived before it. Pings are numbered, because a client may answer
 * only the last of several.
 */
import type { WebSocket } from 'ws';

export interface Arrivals {
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
