import { buffer } from 'node:stream/consumers';
import { DomainError } from '../../domain/errors.ts';
import type { FileContent } from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateNumber } from '../validate.ts';
import { tooLarge } from './fileErrors.ts';
import type { FileView } from './fileView.ts';
import { type ReadContentDeps, readContent } from './readContent.ts';

export interface FileTextRequest {
  readonly maxBytes?: number | null | undefined;
  /** Counts the bytes that are about to be read, and throws if the answer would become too large. */
  readonly charge: (bytes: number) => void;
}

/**
 * The whole content of a small file. Null for a folder or anything else that is no file (a link counts as what it leads
 * to), and for a file that is gone.
 * @throws BAD_USER_INPUT; FILE_TOO_LARGE if the file is larger than `maxBytes`; the errors of `fileErrors.ts`
 */
export async function fileText(
  deps: ReadContentDeps & Pick<ServiceDeps, 'config'>,
  principal: Principal,
  { userUuid, entry }: FileView,
  { maxBytes, charge }: FileTextRequest,
): Promise<Buffer | null> {
  const { maxFileTextBytes } = deps.config;
  const limit = validateNumber('maxBytes', maxBytes ?? maxFileTextBytes, {
    min: 0,
    max: maxFileTextBytes,
  });
  if (entry.kind !== 'file' && entry.kind !== 'link') return null;
  try {
    const content = await readContent(deps, principal, { userUuid, path: entry.pathBytes });
    try {
      return await wholeOf(content, limit, charge);
    } finally {
      content.body.destroy();
    }
  } catch (error: unknown) {
    if (error instanceof DomainError && NO_FILE.has(error.code)) return null;
    throw error;
  }
}

async function wholeOf(
  { length, body }: FileContent,
  limit: number,
  charge: FileTextRequest['charge'],
): Promise<Buffer> {
  if (length > limit) {
    const what = `The file is ${length} bytes (over HTTP, /files/ sends files of any size)`;
    throw tooLarge(what, limit, 'maxBytes, at most MAX_FILE_TEXT_BYTES');
  }
  charge(length);
  return await buffer(body);
}

const NO_FILE: ReadonlySet<string> = new Set([
  'FILE_NOT_FOUND',
  'NOT_FOUND',
  'IS_A_DIRECTORY',
  'NOT_A_DIRECTORY',
  'NOT_A_FILE',
]);
