/** Reads a request's body, never more of it than allowed. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export class BodyTooLargeError extends Error {
  constructor(limitBytes: number) {
    super(`The body is larger than ${limitBytes} bytes (MAX_BODY_BYTES).`);
    this.name = 'BodyTooLargeError';
  }
}

/**
 * The whole body as text (UTF-8).
 * @throws BodyTooLargeError as soon as it is clear: by Content-Length, or when one byte too many has come
 * @throws Error if the client goes away before the end
 */
export function readBody(
  req: IncomingMessage,
  res: ServerResponse,
  limitBytes: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    if (Number(req.headers['content-length'] ?? 0) > limitBytes) {
      reject(new BodyTooLargeError(limitBytes));
      return;
    }
    // Only now is the client that asked first told to send.
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
    const done = () => settle(() => resolve(Buffer.concat(chunks).toString('utf8')));
    const gone = () => settle(() => reject(new Error('The client went away while sending.')));
    req.on('data', take).on('end', done).on('error', reject).on('close', gone);
  });
}
