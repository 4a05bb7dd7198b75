/** Serves the few static files in `public/`. Each is read at its first request and then kept in memory. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** The same relative path is right from `src` and from `dist`. */
const FOLDER = new URL('../../../public/', import.meta.url);

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLE = 'text/css; charset=utf-8';

/** Path -> file. Nothing else in the folder is served. */
const FILES: ReadonlyMap<string, { readonly name: string; readonly type: string }> = new Map([
  ['/', { name: 'console.html', type: HTML }],
  ['/console.js', { name: 'console.js', type: SCRIPT }],
  ['/consoleInput.js', { name: 'consoleInput.js', type: SCRIPT }],
  ['/consoleFiles.js', { name: 'consoleFiles.js', type: SCRIPT }],
  ['/graphqlSocket.js', { name: 'graphqlSocket.js', type: SCRIPT }],
  ['/console.css', { name: 'console.css', type: STYLE }],
  ['/graphiqlToken.js', { name: 'graphiqlToken.js', type: SCRIPT }],
  ['/graphiqlToken.css', { name: 'graphiqlToken.css', type: STYLE }],
]);

/** Allows only our own files and nothing inline. Images that user code made are `data:` URLs. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface Page {
  readonly body: Buffer;
  readonly etag: string;
}

export interface StaticFiles {
  /** Answers the request if the path is in {@link FILES}, and returns whether it did. */
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

/** Headers of every page: no content sniffing, no framing, and no referrer for other sites. */
export const PAGE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
} as const;
