import { Readable } from 'node:stream';
import { type Content, contentOf } from '../contentOf.ts';
import type { Principal } from '../principal.ts';
import { tooLarge } from './fileErrors.ts';
import type { FileView } from './fileView.ts';
import { type WriteContentDeps, writeContent } from './writeContent.ts';

export interface WriteFileRequest extends Content {
  readonly userUuid: string;
  readonly path: string;
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
