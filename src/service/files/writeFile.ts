import { Readable } from 'node:stream';
import type { Principal } from '../principal.ts';
import { refuse } from '../validate.ts';
import { tooLarge } from './fileErrors.ts';
import type { FileView } from './fileView.ts';
import { type WriteContentDeps, writeContent } from './writeContent.ts';

export interface WriteFileRequest {
  readonly userUuid: string;
  readonly path: string;
  /** The content: either text or bytes in base64. */
  readonly text?: string | null | undefined;
  readonly base64?: string | null | undefined;
  /** Adds to the end of the file, if there is one. */
  readonly append?: boolean | null | undefined;
}

/** Writes a small file whose content is in the call. @throws BAD_USER_INPUT, and like {@link writeContent} */
export async function writeFile(
  deps: WriteContentDeps,
  principal: Principal,
  { userUuid, path, text, base64, append }: WriteFileRequest,
): Promise<FileView> {
  const bytes = contentOf({ text, base64 });
  const { maxFileTextBytes: limit } = deps.config;
  if (bytes.length > limit) {
    throw tooLarge(`The content is ${bytes.length} bytes`, limit, 'MAX_FILE_TEXT_BYTES');
  }
  const request = { userUuid, path, append: append ?? false, length: bytes.length };
  // An empty chunk would end the stream of an empty file twice.
  const body = Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false });
  return (await writeContent(deps, principal, request, body)).file;
}

/** @throws BAD_USER_INPUT unless exactly one of the two is given, and is well formed */
function contentOf({ text, base64 }: Pick<WriteFileRequest, 'text' | 'base64'>): Buffer {
  if (text != null && base64 != null) refuse('base64', 'must not be given beside text', {});
  if (text != null) {
    if (!text.isWellFormed()) {
      refuse('text', 'must not contain lone surrogates; send the bytes as base64', {});
    }
    return Buffer.from(text);
  }
  if (base64 == null) return refuse('text', 'or base64 must be given', {});
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') !== base64) {
    refuse('base64', 'must be base64 (RFC 4648, section 4), padded, on one line', {});
  }
  return bytes;
}
