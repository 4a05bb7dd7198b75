/**
 * Names of files in a worker. For Linux, a name is any bytes except U+0000 and the slash. A path is kept as bytes,
 * because user code can make a name that is not UTF-8. Such a file can still be listed and deleted.
 *
 * A path may lead anywhere in the container, and links are followed: the worker opens it with the rights of the user,
 * and decides what is refused (`cellhouse_files/paths.py`).
 */

import { WORKER_HOME } from './worker.ts';

/** Linux's limit for one name. */
const MAX_NAME_BYTES = 255;
/**
 * Linux's limit for a path that a program passes to the kernel (PATH_MAX), without the NUL at its end. It applies to
 * the path from the root, because the worker uses that path.
 */
const MAX_PATH_BYTES = 4_095;
const HOME_BYTES = WORKER_HOME.length + 1;
const SLASH = 0x2f;

export interface FilePath {
  /**
   * Relative to the home, or absolute. It has no `.`, `..` or empty components, and no slash at the end. The only
   * exceptions are `.`, which is the home, and `/`.
   */
  readonly bytes: Buffer;
  /** The path as text for people, messages and the audit: bytes that are not UTF-8 are written as `\xNN`. */
  readonly text: string;
  /** Whether `text` is exactly the path. */
  readonly isUtf8: boolean;
}

/**
 * A path that cannot be used. `problem` continues a sentence that begins with "path", e.g. "must not contain U+0000".
 */
export interface BadPath {
  readonly problem: string;
  readonly limit?: number;
}

/** Parses a path that is given as text. Lone surrogates cannot be encoded in UTF-8, so they are refused. */
export function parsePathText(text: string): FilePath | BadPath {
  if (!text.isWellFormed()) return { problem: 'must not contain lone surrogates' };
  return parsePathBytes(Buffer.from(text));
}

/** Parses a path that is given as bytes. Removes needless slashes and `.` components. */
export function parsePathBytes(given: Buffer): FilePath | BadPath {
  if (given.length > MAX_PATH_BYTES) return tooLong('is', given.length, MAX_PATH_BYTES);
  if (given.includes(0)) return { problem: 'must not contain U+0000' };
  const names = namesOf(given);
  if (names.some((name) => name.toString('latin1') === '..')) {
    return { problem: 'must not contain `..`; give the path from the home, or an absolute one' };
  }
  const long = names.find(({ length }) => length > MAX_NAME_BYTES);
  if (long) return tooLong('has a name of', long.length, MAX_NAME_BYTES);
  const isAbsolute = given[0] === SLASH;
  const bytes = joined(names, isAbsolute);
  const fromRoot = isAbsolute ? bytes.length : HOME_BYTES + bytes.length;
  if (fromRoot > MAX_PATH_BYTES) return tooLong('is, from the root,', fromRoot, MAX_PATH_BYTES);
  return filePath(bytes);
}

/** A path that needs no checks, such as one from a worker's list. */
export function filePath(bytes: Buffer): FilePath {
  const isUtf8 = bytes.equals(Buffer.from(bytes.toString('utf8')));
  return { bytes, isUtf8, text: isUtf8 ? bytes.toString('utf8') : escaped(bytes) };
}

export function isBadPath(path: FilePath | BadPath): path is BadPath {
  return 'problem' in path;
}

/**
 * Whether the path is the home or the root itself. Neither may be written, moved or deleted. A deletion, for example,
 * would first empty the folder, and then fail.
 */
export function isWhole({ text }: FilePath): boolean {
  return text === '.' || text === '/' || text === WORKER_HOME;
}

/** The last name of the path. `.` and `/` are returned unchanged. */
export function nameOf({ bytes }: FilePath): FilePath {
  const name = bytes.subarray(bytes.lastIndexOf(SLASH) + 1);
  return filePath(name.length === 0 ? bytes : name);
}

function namesOf(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start <= path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash === -1 ? path.length : slash;
    const name = path.subarray(start, end);
    if (name.length > 0 && name.toString('latin1') !== '.') names.push(name);
    start = end + 1;
  }
  return names;
}

function joined(names: readonly Buffer[], isAbsolute: boolean): Buffer {
  if (names.length === 0) return Buffer.from(isAbsolute ? '/' : '.');
  const parts = names.flatMap((name, index) =>
    index === 0 && !isAbsolute ? [name] : [Buffer.from('/'), name],
  );
  return Buffer.concat(parts);
}

function tooLong(what: string, bytes: number, limit: number): BadPath {
  return { problem: `${what} ${bytes} bytes, at most ${limit} are allowed`, limit };
}

/** Python's `backslashreplace`: each byte that is not part of valid UTF-8 becomes `\xNN`. */
function escaped(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = validLength(bytes, at);
    text +=
      length === 0
        ? `\\x${(bytes[at] ?? 0).toString(16).padStart(2, '0')}`
        : bytes.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return text;
}

/** Length of the character that begins at `at`: 1 to 4 bytes, or 0 if no valid character begins there. */
function validLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length += 1) {
    const part = bytes.subarray(at, at + length);
    const text = part.toString('utf8');
    if (!text.includes('\uFFFD') || part.toString('hex') === 'efbfbd') return length;
  }
  return 0;
}
