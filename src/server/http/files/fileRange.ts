/** Ranges of a file (RFC 9110, section 14). */

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** Longer digits are no place in any file, and would lose digits as a number. */
const MAX_DIGITS = 15;

/**
 * The part of a file of `size` bytes that a `Range` asks for. `whole`: there is no such header, or it is one that a
 * server may ignore: another unit, several ranges, or not well formed. `none`: no byte of the file is in the range.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | 'whole' | 'none' {
  const [, from = '', to = ''] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '') ?? [];
  if (from === '' && to === '') return 'whole';
  const [start, end] = [numberOf(from), numberOf(to)];
  if (from === '') return end === 0 || size === 0 ? 'none' : lastBytes(end, size);
  if (to !== '' && end < start) return 'whole';
  if (start >= size) return 'none';
  return { first: start, last: to === '' ? size - 1 : Math.min(end, size - 1) };
}

function lastBytes(count: number, size: number): ByteRange {
  return { first: Math.max(0, size - count), last: size - 1 };
}

function numberOf(digits: string): number {
  return digits.length > MAX_DIGITS ? Number.MAX_SAFE_INTEGER : Number(digits);
}

/**
 * Whether `If-Range` lets a range be answered: it names the current version. A date never does, because a file may change
 * twice in one second.
 */
export function mayAnswerRange(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag;
}
