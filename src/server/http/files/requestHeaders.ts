import { ANY_VERSION, ETAG, NO_VERSION } from '../../../domain/workerFiles.ts';

// The conditions `If-Match` and `If-None-Match` (RFC 9110, section 13.1).

/** The versions that a condition names. `any` (written `*`): every version. */
type Versions = 'any' | readonly VersionTag[];

interface VersionTag {
  readonly isWeak: boolean;
  /** With its quotes. */
  readonly opaque: string;
}

const TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")$/;

/** The versions in a header. Null if there is no such header; undefined if it is not well formed. */
export function versionsIn(header: string | undefined): Versions | null | undefined {
  if (header === undefined) return null;
  if (header.trim() === '*') return 'any';
  const tags: VersionTag[] = [];
  for (const part of header.split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/)) {
    const text = part.trim();
    if (text === '') continue;
    const [, weak, opaque] = TAG.exec(text) ?? [];
    if (opaque === undefined) return undefined;
    tags.push({ isWeak: weak !== undefined, opaque });
  }
  return tags.length === 0 ? undefined : tags;
}

/** Whether `If-Match` holds: the file is there, and is one of these versions. Weak tags never match here. */
export function isMatch(versions: Versions, etag: string | null): boolean {
  if (etag === null) return false;
  return versions === 'any' || versions.some(({ isWeak, opaque }) => !isWeak && opaque === etag);
}

/** Whether `If-None-Match` holds: there is no file, or it is none of these versions. Weak tags count like others. */
export function isNoneMatch(versions: Versions, etag: string | null): boolean {
  if (etag === null) return true;
  return versions !== 'any' && !versions.some(({ opaque }) => opaque === etag);
}

/** The conditions of a request, in the form that the worker takes. A missing one has no effect. */
export interface FileConditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

/** A header that is not well formed. */
interface BadCondition {
  readonly badHeader: 'If-Match' | 'If-None-Match';
}

/**
 * Reads both headers. A weak tag in `If-Match` matches nothing; in `If-None-Match` it counts like the strong one. Tags
 * that no file can have are left out.
 */
export function conditionsOf(headers: {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
}): FileConditions | BadCondition {
  const match = versionsIn(headers['if-match']);
  if (match === undefined) return { badHeader: 'If-Match' };
  const noneMatch = versionsIn(headers['if-none-match']);
  if (noneMatch === undefined) return { badHeader: 'If-None-Match' };
  return {
    ...(match && { ifMatch: listed(match === 'any' ? match : match.filter((tag) => !tag.isWeak)) }),
    ...(noneMatch && { ifNoneMatch: listed(noneMatch) }),
  };
}

function listed(versions: Versions): string {
  if (versions === 'any') return ANY_VERSION;
  const possible = versions.map(({ opaque }) => opaque).filter((opaque) => ETAG.test(opaque));
  return possible.join(',') || NO_VERSION;
}

// Ranges of a file (RFC 9110, section 14).

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A number with more digits is beyond the end of any file, and is not exact in JavaScript. */
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
 * Whether a range may be answered: there is no `If-Range`, or it names the current version. A date names no version,
 * because a file may change twice in one second.
 */
export function mayAnswerRange(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag;
}
