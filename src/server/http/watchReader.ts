/** Ends the connections of clients that read nothing of their answers. */
import type { ServerResponse } from 'node:http';

export interface GuardedReader {
  /** Whether the client was disconnected because it read nothing. */
  readonly isCut: boolean;
}

/**
 * Call this when a request begins: the time limit of an earlier answer on the same connection may still be active.
 */
export function guardReader(res: ServerResponse): GuardedReader {
  let isCut = false;
  // The timeout also fires on a connection that is inactive because nothing is there to be sent. That is harmless.
  res.on('timeout', () => {
    if (res.writableLength === 0) return;
    isCut = true;
    res.destroy();
  });
  return {
    get isCut() {
      return isCut;
    },
  };
}

/** Starts the time limit. From now on, a client that reads nothing for `timeoutMs` is disconnected. */
export function watchReader(res: ServerResponse, timeoutMs: number): void {
  const watch = () => res.setTimeout(timeoutMs);
  watch();
  // Yoga removes the time limit when it starts to stream, so set it again.
  res.on('pipe', watch);
}
