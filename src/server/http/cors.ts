/**
 * Cross-origin requests from pages of the origins that the operator named. Without any, nothing is said, and a browser
 * keeps other origins' pages out. No cookies are involved: a page needs the token like everybody.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Whether a page of the request's `Origin` may open a WebSocket: browsers let any page do so, and leave it to the server. Those of
 * the host that the request itself goes to may, and those of the named origins; what says no origin is no browser.
 */
export type IsOriginAllowed = (req: IncomingMessage) => boolean;

export function createOriginCheck(origins: readonly string[]): IsOriginAllowed {
  const allowed = new Set(origins);
  return ({ headers: { origin, host } }) => {
    if (origin === undefined || allowed.has(origin)) return true;
    return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
  };
}

/** How long a browser may keep what a preflight answered, in seconds; browsers allow at most hours. */
const MAX_AGE_SECONDS = 600;
const ALLOWED_METHODS = 'GET, POST, OPTIONS';
const ALLOWED_HEADERS = 'content-type, x-auth-token, authorization';

/** Adds what an allowed origin needs. True: it was a preflight, and is answered. */
export type Cors = (req: IncomingMessage, res: ServerResponse) => boolean;

export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins);
  return (req, res) => {
    if (allowed.size === 0) return false;
    // The answer depends on it: a shared cache must not give one origin's to another.
    res.appendHeader('Vary', 'Origin');
    const { origin } = req.headers;
    if (origin === undefined || !allowed.has(origin)) return false;
    res.setHeader('Access-Control-Allow-Origin', origin);
    if (req.method !== 'OPTIONS') return false;
    res.setHeader('Access-Control-Allow-Methods', ALLOWED_METHODS);
    res.setHeader('Access-Control-Allow-Headers', ALLOWED_HEADERS);
    res.setHeader('Access-Control-Max-Age', String(MAX_AGE_SECONDS));
    res.writeHead(204).end();
    return true;
  };
}
