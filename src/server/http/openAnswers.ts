import type { ServerResponse } from 'node:http';

/** Keeps track of the HTTP answers under way. */
export interface OpenAnswers {
  add(res: ServerResponse): void;
  /** From now on each connection ends after its current answer, so that no further request arrives on it. */
  endConnections(): void;
}

export function createOpenAnswers(): OpenAnswers {
  const open = new Set<ServerResponse>();
  let isEnding = false;

  return {
    add(res) {
      open.add(res);
      res.once('close', () => open.delete(res));
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
