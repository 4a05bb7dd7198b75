import type { ServerResponse } from 'node:http';

/** The answers that are being given. */
export interface OpenAnswers {
  add(res: ServerResponse): void;
  /** From now on each connection ends with its answer, so that no further request comes on it. */
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
