/** Forms with files (RFC 7578), as streams: nothing of a file is kept. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import type { DomainError } from '../../../../domain/errors.ts';
import { badRequest } from './fileRefusal.ts';

/** The part of a form that is a file to write. Others are left out. */
const FILE_FIELD = 'file';
/** More than clients send at once: each file is an entry of the answer, and of the audit. */
const MAX_FILES = 10_000;
const LIMITS = {
  // One more, to know that there are too many.
  files: MAX_FILES + 1,
  parts: 2 * MAX_FILES,
  // Other fields are not looked at.
  fieldSize: 1,
  // A file's name is a path, which may be long.
  headerSize: 32_768,
  headerPairs: 32,
};

/**
 * Calls `write` with each file of a form, one after the other. It reads a file to its end, or throws: then nothing further
 * is read.
 * @param type the header Content-Type
 * @throws BAD_USER_INPUT for a malformed form; what `write` throws; the error of `body`
 */
export async function eachFile(
  type: string,
  body: Readable,
  write: (fileName: string | undefined, content: Readable) => Promise<void>,
): Promise<void> {
  const form = formOf(type);
  const contents: Readable[] = [];
  let turn: Promise<void> = Promise.resolve();
  /** What `write` threw. */
  let failure: unknown = null;
  form.on('file', (_field, content, fileName: string | undefined) => {
    contents.push(content);
    // A file that ends too early says so, and then ends like any other. Nobody may be reading it yet.
    content.on('error', () => content.destroy());
    const isTooMany = contents.length > MAX_FILES;
    turn = turn.then(() => {
      if (isTooMany) throw badRequest(`A form has at most ${MAX_FILES} files.`);
      return write(fileName === undefined ? undefined : unescaped(fileName), content);
    });
    turn.catch((error: Error) => {
      failure ??= error;
      form.destroy(error);
    });
  });
  try {
    await pipeline(body, form);
  } catch (error: unknown) {
    const isOurs = error === failure;
    for (const content of contents) content.destroy();
    // Nothing is written any more when this rejects.
    await turn.catch(() => {});
    throw isOurs || body.errored !== null ? error : malformed(error);
  }
  await turn;
}

function formOf(type: string): InstanceType<typeof Busboy> {
  try {
    return new Busboy({
      headers: { 'content-type': type },
      preservePath: true,
      isPartAFile: (field) => field === FILE_FIELD,
      limits: LIMITS,
    });
  } catch (error: unknown) {
    throw malformed(error);
  }
}

function malformed(cause: unknown): DomainError {
  return badRequest('The body is no whole form of the type that Content-Type names.', { cause });
}

/** Clients write these characters of a file's name so, and no others (WHATWG, "multipart/form-data encoding algorithm"). */
function unescaped(fileName: string): string {
  return fileName.replace(/%(0A|0D|22)/gi, decodeURIComponent);
}
