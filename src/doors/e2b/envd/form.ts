/** Reads forms with files (RFC 7578) as streams, so that no file is ever held in memory. */

import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyFileStream } from '@fastify/busboy';
import { DomainError, type ErrorCode } from '../../../domain/errors.ts';
import { type Refusal, refusalOf } from '../../../service/refusal.ts';

/** The errors whose status in envd differs from that of the other doors. envd's clients interpret these statuses. */
const STATUSES: Partial<Readonly<Record<ErrorCode, number>>> = {
  IS_A_DIRECTORY: 400,
  NOT_A_DIRECTORY: 400,
  NOT_A_FILE: 400,
  FILE_EXISTS: 400,
  FILES_BUSY: 429,
};

/** The refusal for an error. Null: the error is unexpected. */
export function fileRefusalOf(error: unknown): Refusal | null {
  if (!(error instanceof DomainError)) return null;
  const refusal = refusalOf(error);
  return { ...refusal, status: STATUSES[error.code] ?? refusal.status };
}

/** The error for an invalid request. */
export function badRequest(message: string, options?: ErrorOptions): DomainError {
  return new DomainError('BAD_USER_INPUT', message, {}, options);
}

/** The name of the parts that are files to write. Other parts are ignored. */
const FILE_FIELD = 'file';
/** More files than clients send at once. Each file is an entry of the answer, and of the audit. */
const MAX_FILES = 10_000;
const MAX_PARTS = 2 * MAX_FILES;
/**
 * The most bytes of a form besides the contents of its files: MAX_OTHER_BYTES in all, and MAX_HEADER_BYTES for the
 * headers of each file, which contain its path.
 */
const MAX_OTHER_BYTES = 1_048_576;
const MAX_HEADER_BYTES = 8_192;
/** A value for limits of the parser that is never reached. The parser would silently cut off what exceeds a limit. */
const UNREACHED = 1_073_741_824;
const LIMITS = {
  parts: MAX_PARTS,
  fieldSize: 1,
  headerSize: UNREACHED,
  headerPairs: UNREACHED,
};

/**
 * Calls `write` with each file of a form, one after the other. `write` must read a file to its end, or throw. If it
 * throws, no further file is read.
 * @param type the header Content-Type
 * @throws BAD_USER_INPUT for a malformed form; what `write` throws; the error of `body`
 */
export async function eachFile(
  type: string,
  body: Readable,
  write: (fileName: string | undefined, content: Readable) => Promise<void>,
): Promise<void> {
  const form = formOf(type);
  const contents: BusboyFileStream[] = [];
  let turn: Promise<void> = Promise.resolve();
  /** What `write` threw, or what is wrong with the form. */
  let failure: unknown = null;
  const fail = (error: Error) => {
    failure ??= error;
    form.destroy(error);
  };
  form.on('partsLimit', () => fail(badRequest(`A form has at most ${MAX_PARTS} parts.`)));
  form.on('file', (_field, content, fileName: string | undefined) => {
    contents.push(content);
    // If the form ends within a file, the file emits an error. Without this listener, that error would end the process,
    // because `write` may not be reading the file yet.
    content.on('error', () => content.destroy());
    const isTooMany = contents.length > MAX_FILES;
    turn = turn.then(() => {
      if (isTooMany) throw badRequest(`A form has at most ${MAX_FILES} files.`);
      return write(fileName === undefined ? undefined : unescaped(fileName), content);
    });
    turn.catch(fail);
  });
  try {
    await pipeline(body, limited(contents), form);
  } catch (error: unknown) {
    const isKnown = error === failure || error instanceof DomainError || body.errored !== null;
    for (const content of contents) content.destroy();
    // Nothing is written any more when this rejects.
    await turn.catch(() => {});
    throw isKnown ? error : malformed(error);
  }
  await turn;
}

/** Passes a form on, as long as the bytes besides the contents of its files stay within their limit. */
function limited(contents: readonly BusboyFileStream[]): Transform {
  let passed = 0;
  /** How many contents there are before the last one, and their bytes. */
  let earlier = { count: 0, bytes: 0 };
  const bytesOfFiles = () => {
    const last = contents.length - 1;
    for (const content of contents.slice(earlier.count, Math.max(0, last)))
      earlier = { count: earlier.count + 1, bytes: earlier.bytes + content.bytesRead };
    return earlier.bytes + (contents[last]?.bytesRead ?? 0);
  };
  return new Transform({
    transform: (piece: Buffer, _encoding, done) => {
      // By now the parser has counted the earlier pieces, except those that wait for a slow writer.
      const others = passed - bytesOfFiles();
      passed += piece.length;
      const most = MAX_OTHER_BYTES + contents.length * MAX_HEADER_BYTES;
      if (others <= most) done(null, piece);
      else done(badRequest(`A form has at most ${most} bytes beside the contents of its files.`));
    },
  });
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

/**
 * Clients encode exactly these characters of a file's name in this way (WHATWG, "multipart/form-data encoding
 * algorithm").
 */
function unescaped(fileName: string): string {
  return fileName.replace(/%(0A|0D|22)/gi, decodeURIComponent);
}
