/** Compresses large answers for clients that ask for it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants } from 'node:zlib';
import compression from 'compression';

/** Smaller answers are not compressed, because that would cost more time than it saves. */
export const MIN_COMPRESSED_BYTES = 16_384;
/** Each answer is compressed for one request only, so fast levels are used. They shrink text well already. */
const GZIP_LEVEL = 1;
const BROTLI_QUALITY = 1;

/** Compresses the response if it is large and the client accepts that. Call this before the response is written. */
export type Compress = (req: IncomingMessage, res: ServerResponse) => void;

export function createCompress(): Compress {
  const handler = compression({
    threshold: MIN_COMPRESSED_BYTES,
    level: GZIP_LEVEL,
    brotli: { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } },
    // The events of a stream must be sent immediately, not when a block of them is full.
    filter: (_req, res) => !String(res.getHeader('Content-Type')).startsWith('text/event-stream'),
  });
  return (req, res) => {
    // The types are those of Express, which extend Node's. The package uses nothing that Express adds.
    handler(req as never, res as never, () => undefined);
  };
}
