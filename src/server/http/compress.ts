/** Compresses large answers for clients that ask for it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { constants } from 'node:zlib';
import compression from 'compression';

/** Below it, compressing costs more time than it saves. */
export const MIN_COMPRESSED_BYTES = 16_384;
/** Answers are made once each: the quickest levels, which already take most of the size off text. */
const GZIP_LEVEL = 1;
const BROTLI_QUALITY = 1;

/** From now on the response is compressed if it is large and its request takes that. */
export type Compress = (req: IncomingMessage, res: ServerResponse) => void;

export function createCompress(): Compress {
  const handler = compression({
    threshold: MIN_COMPRESSED_BYTES,
    level: GZIP_LEVEL,
    brotli: { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } },
    // A stream's events must leave at once, not when a block of them is full.
    filter: (_req, res) => !String(res.getHeader('Content-Type')).startsWith('text/event-stream'),
  });
  return (req, res) => {
    // Typed for Express, whose request and response extend Node's; it uses nothing of what they add.
    handler(req as never, res as never, () => undefined);
  };
}
