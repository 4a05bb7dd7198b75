/** The few static files in `public/`, read when first asked for and then kept. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Beside `src` and `dist` alike. */
const FOLDER = new URL('../../../public/', import.meta.url);

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** Path -> file. Nothing else in the folder can be reached. */
const FILES: ReadonlyMap<string, { readonly name: string; readonly type: string }> = new Map([
  ['/', { name: 'console.html', type: HTML }],
  ['/console.js', { name: 'console.js', type: SCRIPT }],
  ['/graphqlSocket.js', { name: 'graphqlSocket.js', type: SCRIPT }],
  ['/console.css', { name: 'console.css', type: STYLE }],
  ['/graphiqlToken.js', { name: 'graphiqlToken.js', type: SCRIPT }],
  ['/graphiqlToken.css', { name: 'graphiqlToken.css', type: STYLE }],
]);

/** Everything from here and nothing inline; images that code made are data. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface Page {
  readonly body: Buffer;
  readonly etag: string;
}

export interface StaticFiles {
  /** Answers if the path is one of ours. */
  serve(path: string, req: IncomingMessage, res: ServerResponse): Promise<boolean>;
}

export function createStaticFiles(): StaticFiles {
  const pages = new Map<string, Page>();

  async function load(name: string): Promise<Page> {
    const known = pages.get(name);
    if (known) return known;
    const body = await readFile(new URL(name, FOLDER));
    const page = { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
    pages.set(name, page);
    return page;
  }

  return {
    async serve(path, req, res) {
      const file = FILES.get(path);
      if (!file || (req.method !== 'GET' && req.method !== 'HEAD')) return false;
      const { body, etag } = await load(file.name);
      const isKnown = req.headers['if-none-match'] === etag;
      res.writeHead(isKnown ? 304 : 200, {
        'Content-Type': file.type,
        'Content-Security-Policy': CONTENT_SECURITY_POLICY,
        'Cache-Control': 'no-cache',
        ETag: etag,
        ...PAGE_HEADERS,
      });
      res.end(isKnown || req.method === 'HEAD' ? undefined : body);
      return true;
    },
  };
}

/** For every page: no sniffing, no framing, and no address told to others. */
export const PAGE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
} as const;
