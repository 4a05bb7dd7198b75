/**
 * Allows cross-origin requests from pages of the origins in the settings. If there are none, no CORS headers are sent,
 * and browsers block pages of other origins. No cookies are involved: a page needs the token like every client.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Whether a page of the request's `Origin` may open a WebSocket. Browsers let any page try, so the server must decide.
 * Pages of the server's own host and of the configured origins may. A client without `Origin` is not a browser, and may
 * too.
 */
export type IsOriginAllowed = (req: Pick<IncomingMessage, 'headers'>) => boolean;

export function createOriginCheck(origins: readonly string[]): IsOriginAllowed {
  const allowed = new Set(origins);
  return ({ headers: { origin, host } }) => {
    if (origin === undefined || allowed.has(origin)) return true;
    return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
  };
}

/** How long a browser may cache the answer to a preflight. */
const MAX_AGE_SECONDS = 600;

/** What pages of other origins may send to a path, and may read of its answers. */
export interface CorsRules {
  readonly methods: string;
  readonly headers: string;
  /** Headers of answers that pages may read, besides those that browsers show to every page. */
  readonly exposed: string;
}

export const GRAPHQL_CORS: CorsRules = {
  methods: 'GET, POST, OPTIONS',
  headers: 'content-type, x-auth-token, authorization',
  exposed: '',
};

export const FILES_CORS: CorsRules = {
  methods: 'GET, HEAD, PUT, DELETE, OPTIONS',
  headers: 'content-type, x-auth-token, authorization, range, if-match, if-none-match, if-range',
  exposed: 'ETag, Accept-Ranges, Content-Range, Content-Disposition, Location, Retry-After',
};

/** Adds the headers for an allowed origin. Returns true if the request was a preflight, which is answered then. */
export type Cors = (req: IncomingMessage, res: ServerResponse) => boolean;

export function createCors(origins: readonly string[], rules: CorsRules): Cors {
  const allowed = new Set(origins);
  return (req, res) => {
    if (allowed.size === 0) return false;
    // The answer depends on the origin, so a shared cache must not reuse it for another origin.
    res.appendHeader('Vary', 'Origin');
    const { origin } = req.headers;
    if (origin === undefined || !allowed.has(origin)) return false;
    res.setHeader('Access-Control-Allow-Origin', origin);
    if (rules.exposed !== '') res.setHeader('Access-Control-Expose-Headers', rules.exposed);
    if (req.method !== 'OPTIONS') return false;
    res.setHeader('Access-Control-Allow-Methods', rules.methods);
    res.setHeader('Access-Control-Allow-Headers', rules.headers);
    res.setHeader('Access-Control-Max-Age', String(MAX_AGE_SECONDS));
    res.writeHead(204).end();
    return true;
  };
}
