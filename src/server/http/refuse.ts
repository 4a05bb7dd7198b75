/** Refuses a request whose body may still be arriving. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type JsonAnswer, writtenJson } from '../../doors/shared/jsonAnswer.ts';
import type { Refusal } from '../../service/refusal.ts';

/** How long a client that is still sending its body has to read the refusal before the connection ends. */
const LINGER_MS = 1_000;

/** Refuses a request before GraphQL sees it, in the form of a GraphQL error: `{ errors: [...] }`. */
export function refuse(req: IncomingMessage, res: ServerResponse, refusal: Refusal): void {
  const { status, code, message, details, headers } = refusal;
  sendRefusal(req, res, {
    status,
    headers: { ...headers, 'Content-Type': `${mediaTypeFor(req)}; charset=utf-8` },
    body: { errors: [{ message, extensions: { ...details, code } }] },
  });
}

/**
 * Sends the answer. The rest of the request's body is discarded. If the body has not arrived
 * completely, the connection is closed.
 */
export function sendRefusal(req: IncomingMessage, res: ServerResponse, answer: JsonAnswer): void {
  const isSending = !req.complete && hasBody(req);
  const { text, headers } = writtenJson(answer);
  res.writeHead(answer.status, { ...headers, ...(isSending && { Connection: 'close' }) });
  if (!isSending) {
    res.end(text);
    return;
  }
  // Closing while data is still arriving would reset the connection, and the client might never see the refusal.
  res.write(text);
  const timer = setTimeout(finish, LINGER_MS);
  function finish(): void {
    clearTimeout(timer);
    req.off('end', finish).off('close', finish);
    res.end();
  }
  req.on('end', finish).on('close', finish).resume();
}

/** Whether the request has a body, which may not have arrived yet. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function mediaTypeFor({ headers }: IncomingMessage): string {
  const type = 'application/graphql-response+json';
  return headers.accept?.includes(type) ? type : 'application/json';
}
