import type { IncomingMessage } from 'node:http';
import { hasBody } from './refuse.ts';

/** Within this time, a request must have arrived as a whole, unless it is an upload of a file. */
const LIMIT_MS = 60_000;

/**
 * Ends the connection of a client whose request has not arrived as a whole within a minute, so that slow senders do not
 * hold connections forever. It must not be called for uploads of files: for them, only silence is limited. (Node's own
 * `requestTimeout` is the same for all requests of a server.)
 */
export function limitArrival(req: IncomingMessage): void {
  if (!hasBody(req)) return;
  const timer = setTimeout(() => {
    if (!req.complete) req.destroy();
  }, LIMIT_MS);
  timer.unref();
  req.once('close', () => clearTimeout(timer));
}
