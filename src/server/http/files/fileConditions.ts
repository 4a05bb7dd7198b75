/** The conditions `If-Match` and `If-None-Match` (RFC 9110, section 13.1). */

import { ANY_VERSION, ETAG, NO_VERSION } from '../../../domain/workerFiles.ts';

/** The versions that a condition names. `any`: `*`, i.e. whatever is there. */
export type Versions = 'any' | readonly VersionTag[];

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
export interface BadCondition {
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
