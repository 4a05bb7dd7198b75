/** Reads a request's body up to a limit. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Refusal } from '../../service/refusal.ts';

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
