/** Refuses a request whose body may still be arriving. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type JsonAnswer, writtenJson } from '../../doors/shared/jsonAnswer.ts';
import type { Refusal } from '../../service/refusal.ts';

// Reads a request's body up to a limit.

export class BodyTooLargeError extends Error {
  readonly refusal: Refusal;

  constructor(limit: number) {
    super(`The body is larger than ${limit} bytes (MAX_BODY_BYTES).`);
    this.name = 'BodyTooLargeError';
    const { message } = this;
    this.refusal = { status: 413, code: 'BAD_USER_INPUT', message, details: { limit } };
  }
}

/** Reads the whole body as UTF-8 text. Throws like {@link readBytes}. */
export async function readBody(
  req: IncomingMessage,
  res: ServerResponse,
  limitBytes: number,
): Promise<string> {
  return (await readBytes(req, res, limitBytes)).toString('utf8');
}

/**
 * Reads the whole body.
 * @throws BodyTooLargeError as early as possible: from Content-Length, or when the first byte beyond the limit arrives
 * @throws Error if the client disconnects before the end
 */
export function readBytes(
  req: IncomingMessage,
  res: ServerResponse,
  limitBytes: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (req.destroyed) {
      reject(clientGone());
      return;
    }
    if (Number(req.headers['content-length'] ?? 0) > limitBytes) {
      reject(new BodyTooLargeError(limitBytes));
      return;
    }
    // A client that sent `Expect: 100-continue` waits for this before it sends the body.
    if (/^100-continue$/i.test(req.headers.expect ?? '')) res.writeContinue();
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (outcome: () => void) => {
      req.off('data', take).off('end', done).off('error', reject).off('close', gone);
      outcome();
    };
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limitBytes) settle(() => reject(new BodyTooLargeError(limitBytes)));
      else chunks.push(chunk);
    };
    const done = () => settle(() => resolve(Buffer.concat(chunks)));
    const gone = () => settle(() => reject(clientGone()));
    req.on('data', take).on('end', done).on('error', reject).on('close', gone);
  });
}

function clientGone(): Error {
  return new Error('The client went away while sending.');
}

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
