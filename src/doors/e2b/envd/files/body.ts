import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { DomainError } from '../../../../domain/errors.ts';
import type { UploadOptions } from '../../../../domain/workerFiles.ts';
import type { DoorCall } from '../../../openDoor.ts';
import { badRequest } from './fileRefusal.ts';

/** The body of an upload, as it was before it was compressed. */
export interface RequestBody {
  readonly content: Readable;
  /** What is known of it, if the whole body is one file. */
  readonly upload: UploadOptions;
  /** What is wrong with the body itself. Null: nothing that is known yet. */
  problem(): DomainError | null;
}

/** @throws BAD_USER_INPUT for another encoding than gzip */
export function openBody({ req, readStream, free }: DoorCall): RequestBody {
  const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'gzip') return gunzipped(readStream());
  if (encoding !== 'identity') throw badRequest('Content-Encoding must be gzip, or absent.');
  const { 'content-length': length, 'transfer-encoding': transfer } = req.headers;
  const isKnown = transfer === undefined && length !== undefined;
  return {
    content: readStream(),
    upload: { giveBack: free, ...(isKnown && { length: Number(length) }) },
    problem: () => null,
  };
}

function gunzipped(body: Readable): RequestBody {
  const content = createGunzip();
  // The error reaches whoever reads it.
  pipeline(body, content, () => {});
  return {
    content,
    upload: {},
    problem: () => {
      const { errored } = content;
      const isOurs = errored !== null && /^Z_/.test((errored as NodeJS.ErrnoException).code ?? '');
      return isOurs ? badRequest('The body is no gzip.', { cause: errored }) : null;
    },
  };
}
