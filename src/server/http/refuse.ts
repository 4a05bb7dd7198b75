/** Refuses a request before GraphQL sees it, with an answer in the form of a GraphQL error. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** How long a client that is still sending its body has to read the refusal before the connection ends. */
const LINGER_MS = 1_000;

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Sends the refusal as `{ errors: [...] }`. The rest of the request's body is discarded. If the body has not arrived
 * completely, the connection is closed.
 */
export function refuse(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
  const { status, code, message, details, headers } = refusal;
  const body = JSON.stringify({ errors: [{ message, extensions: { ...details, code } }] });
  const isSending = !req.complete && hasBody(req);
  res.writeHead(status, {
    ...headers,
    'Content-Type': `${mediaTypeFor(req)}; charset=utf-8`,
    'Content-Length': Buffer.byteLength(body),
    ...(isSending && { Connection: 'close' }),
  });
  if (!isSending) {
    res.end(body);
    return;
  }
  // Closing while data is still arriving would reset the connection, and the client might never see the refusal.
  res.write(body);
  const timer = setTimeout(finish, LINGER_MS);
  function finish(): void {
    clearTimeout(timer);
    req.off('end', finish).off('close', finish);
    res.end();
  }
  req.on('end', finish).on('close', finish).resume();
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function mediaTypeFor({ headers }: IncomingMessage): string {
  const type = 'application/graphql-response+json';
  return headers.accept?.includes(type) ? type : 'application/json';
}
