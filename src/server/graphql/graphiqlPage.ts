/**
 * Serves GraphiQL. The page contains everything, so it works offline. It asks for the token, which only the browser tab
 * keeps. A script of ours adds the token's header to each request. A browser cannot send a header with a WebSocket, so
 * subscriptions use server-sent events over `fetch`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { PAGE_HEADERS } from '../http/staticFiles.ts';

/** GraphiQL's bundle needs inline scripts and styles, and starts its web workers from blobs. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; " +
  "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const ROOT = '<div id="root"></div>';

const DEFAULT_QUERY = `# Enter the token above, then run one of these.
mutation Execute {
  execute(input: { userUuid: "me", code: "a = 10\\nprint(a * 20)" }) {
    id
    status
    stdout
    resultText
    error { name value }
  }
}

subscription Follow {
  sessionOutput(userUuid: "me") {
    seq
    ... on StreamOutput { name text }
    ... on ErrorOutput { error { name value } }
    ... on ExecutionFinished { execution { id status } }
  }
}

query Pool {
  poolStatus { totalWorkers idleWorkers busyWorkers }
}
`;

export interface GraphiqlPage {
  serve(req: IncomingMessage, res: ServerResponse): Promise<void>;
}

export function createGraphiqlPage(): GraphiqlPage {
  let page: Promise<Buffer> | null = null;

  return {
    async serve(_req, res) {
      page ??= render();
      const body = await page;
      res.writeHead(200, {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Encoding': 'gzip',
        'Content-Length': body.length,
        'Content-Security-Policy': CONTENT_SECURITY_POLICY,
        'Cache-Control': 'no-cache',
        ...PAGE_HEADERS,
      });
      res.end(body);
    },
  };
}

/** The bundle is 9 MB of text, so it is loaded at the first request for the page, and kept compressed. */
async function render(): Promise<Buffer> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const html = String(
    await renderGraphiQL({
      title: 'Cellhouse GraphiQL',
      defaultQuery: DEFAULT_QUERY,
      shouldPersistHeaders: false,
      defaultEditorToolsVisibility: false,
    }),
  );
  if (!html.includes(ROOT)) throw new Error('GraphiQL changed: its page has no root to extend.');
  const withToken = html.replace(
    ROOT,
    () =>
      `<link rel="stylesheet" href="/graphiqlToken.css"><script src="/graphiqlToken.js"></script>${ROOT}`,
  );
  return promisify(gzip)(withToken);
}
