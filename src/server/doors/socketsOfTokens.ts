import type { Duplex } from 'node:stream';
import type { Refusal } from '../../service/refusal.ts';

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
   * Counts the socket until it is closed. The socket must not be destroyed yet.
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
