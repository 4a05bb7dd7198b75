import { createHash } from 'node:crypto';
import { pipeline, type Readable, Transform } from 'node:stream';
import { DomainError } from '../../domain/errors.ts';
import { tooLarge, UploadAbortedError } from './fileErrors.ts';

export interface Measured {
  /** The same bytes. Fails with UploadAbortedError if the source fails, or with FILE_TOO_LARGE. */
  readonly body: Readable;
  /** The size and the hash of the bytes that have passed so far. Call it once, at the end. */
  readonly result: () => { readonly size: number; readonly sha256: string };
}

/**
 * Passes an upload on as fast as it is read, and computes its size and hash. A worker's own figures are not trusted.
 */
export function measured(source: Readable, maxBytes: number): Measured {
  const hash = createHash('sha256');
  let size = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > maxBytes) {
        done(tooLarge('The upload is longer', maxBytes, 'MAX_FILE_BYTES'));
        return;
      }
      hash.update(chunk);
      done(null, chunk);
    },
    destroy(error, done) {
      done(error === null || error instanceof DomainError ? error : asAborted(error, source));
    },
  });
  // The reader of `body` gets the error.
  pipeline(source, body, () => {});
  return { body, result: () => ({ size, sha256: hash.digest('hex') }) };
}

/** An error of the source means that the client aborted the upload. Any other error comes from the reader. */
function asAborted(error: Error, source: Readable): Error {
  return source.errored === error ? new UploadAbortedError({ cause: error }) : error;
}
