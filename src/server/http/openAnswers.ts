import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Keeps track of the HTTP answers under way. */
export interface OpenAnswers {
  /** Call this when the request arrives. From then on the answer is closed when its connection breaks. */
  add(res: ServerResponse): void;
  /** From now on each connection ends after its current answer, so that no further request arrives on it. */
  endConnections(): void;
}

export function createOpenAnswers(): OpenAnswers {
  const open = new Set<ServerResponse>();
  /** The answers that wait for an earlier one on their connection, because the client pipelined its requests. */
  const waiting = new WeakMap<Socket, Set<ServerResponse>>();
  let isEnding = false;

  function waitingOn(socket: Socket): Set<ServerResponse> {
    const known = waiting.get(socket);
    if (known) return known;
    const all = new Set<ServerResponse>();
    waiting.set(socket, all);
    // When a connection breaks, Node closes only the answer that is being sent.
    socket.once('close', () => {
      for (const res of all) {
        res.destroy();
        res.emit('close');
      }
    });
    return all;
  }

  return {
    add(res) {
      open.add(res);
      res.once('close', () => open.delete(res));
      if (res.socket === null) {
        const others = waitingOn(res.req.socket).add(res);
        res.once('socket', () => others.delete(res));
      }
      if (isEnding) endAfter(res);
    },
    endConnections() {
      isEnding = true;
      for (const res of open) endAfter(res);
    },
  };
}

function endAfter(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close');
}
