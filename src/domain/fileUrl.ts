/** The URL of a file: `/files/<userUuid>/<path>[?archive=tar|zip][&inline]`. */

export const FILES_PREFIX = '/files/';

export interface FileUrl {
  readonly userUuid: string;
  /** The decoded bytes. Absolute if two slashes follow the user. Empty: the home. */
  readonly path: Buffer;
  readonly archive: 'tar' | 'zip' | null;
  readonly isInline: boolean;
}

/** A URL that names no file. `problem` is a sentence for the caller. */
export interface BadFileUrl {
  readonly field: string;
  readonly problem: string;
}

/**
 * Parses the raw target of a request that begins with {@link FILES_PREFIX}. Each part between slashes is decoded once,
 * so `..%252f` names the file `..%2f`. A slash within a part (`%2F`) and the parts `.` and `..` are refused, encoded or
 * not, because a proxy may rewrite them.
 */
export function parseFileUrl(target: string): FileUrl | BadFileUrl {
  const [before = '', ...rest] = target.split('?');
  const [user = '', ...parts] = before.slice(FILES_PREFIX.length).split('/');
  const options = parseOptions(rest.join('?'));
  if ('problem' in options) return options;
  const userUuid = percentDecoded(user);
  if (userUuid === null) return { field: 'userUuid', problem: BAD_PERCENT };
  const name = userUuid.toString('utf8');
  if (!userUuid.equals(Buffer.from(name))) {
    return { field: 'userUuid', problem: 'The user in the URL must be UTF-8.' };
  }
  const names: Buffer[] = [];
  for (const part of parts) {
    const decoded = percentDecoded(part);
    if (decoded === null) return { field: 'path', problem: BAD_PERCENT };
    if (decoded.includes('/')) return { field: 'path', problem: SLASH_WITHIN };
    if (['.', '..'].includes(decoded.toString('latin1'))) return { field: 'path', problem: DOTS };
    names.push(decoded);
  }
  return { userUuid: name, path: joined(names), ...options };
}

export function isBadFileUrl(url: FileUrl | BadFileUrl): url is BadFileUrl {
  return 'problem' in url;
}

/** The URL of a file. The counterpart of {@link parseFileUrl}. @param path `.` is the home */
export function fileUrlOf(userUuid: string, path: Buffer): string {
  const text = path.toString('latin1');
  // Clients and proxies remove a `.` from a URL, and `parseFileUrl` refuses it. So the URL of the home has an empty
  // path.
  const names = text === '.' ? [''] : text.split('/').map(percentEncoded);
  return `${FILES_PREFIX}${encodeURIComponent(userUuid)}/${names.join('/')}`;
}

const BAD_PERCENT = 'A `%` in the URL must be followed by two hexadecimal digits.';
const SLASH_WITHIN =
  'A name in the path must not contain `%2F`. Write the slashes between names as `/`.';
const DOTS = 'The path in the URL must not contain `.` or `..`, encoded or not.';

type Options = Pick<FileUrl, 'archive' | 'isInline'>;

function parseOptions(query: string): Options | BadFileUrl {
  let archive: Options['archive'] = null;
  let isInline = false;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'archive' && (value === 'tar' || value === 'zip')) archive = value;
    else if (name === 'archive') {
      return { field: 'archive', problem: '`archive` in the URL must be `tar` or `zip`.' };
    } else if (name === 'inline' && ['', '1', 'true'].includes(value)) isInline = true;
    else if (name === 'inline') {
      return { field: 'inline', problem: '`inline` in the URL takes no value.' };
    } else {
      return { field: 'query', problem: 'The URL may have only `archive` and `inline`.' };
    }
  }
  return { archive, isInline };
}

/**
 * The bytes that the text encodes. Every character outside of a percent escape stands for one byte. Null if a percent
 * sign is not followed by two hexadecimal digits.
 */
function percentDecoded(text: string): Buffer | null {
  if (/%(?![0-9a-f]{2})/i.test(text)) return null;
  const latin1 = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(latin1, 'latin1');
}

/** @param latin1 one character for each byte */
function percentEncoded(latin1: string): string {
  return latin1.replace(
    /[^A-Za-z0-9._~-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function joined(names: readonly Buffer[]): Buffer {
  const slash = Buffer.from('/');
  return Buffer.concat(names.flatMap((name, index) => (index === 0 ? [name] : [slash, name])));
}
