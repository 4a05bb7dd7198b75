/**
 * The files that an execution changed in the user's home, as its worker reports them. Paths are relative to the home.
 * The worker runs code that may be hostile, so its report may be wrong. Changes that clients make through the API are
 * recorded by the gateway itself (`fileChange.ts`).
 */

import { isBadPath, parsePathText } from './filePath.ts';
import { fileUrlOf } from './fileUrl.ts';

export type FileChangeKind = 'CREATED' | 'MODIFIED' | 'DELETED';

export interface FileChange {
  /** Bytes that are not UTF-8 are written as `\xNN`, as a name may also be in fact. */
  readonly path: string;
  readonly change: FileChangeKind;
  /** Bytes. Null if it was deleted. */
  readonly size: number | null;
  /** ISO 8601. Null if it was deleted. Code can set it to any time. */
  readonly modifiedAt: string | null;
}

/**
 * The URL of a changed file. Null if it is deleted, if a backslash leaves open which file it is, or if the worker reports
 * no proper path, such as one with `..`.
 */
export function urlOfChange(
  userUuid: string,
  { path, change }: Pick<FileChange, 'path' | 'change'>,
): string | null {
  if (change === 'DELETED' || path.includes('\\')) return null;
  const parsed = parsePathText(path);
  return isBadPath(parsed) || parsed.text !== path ? null : fileUrlOf(userUuid, parsed.bytes);
}

/** Why there is no list of changes. docs/use/reference.md explains each. */
export type NoChangesReason =
  | 'too-many-entries'
  | 'too-deep'
  | 'too-slow'
  | 'too-many-changes'
  | 'kernel-replaced'
  | 'no-earlier-look'
  | 'helper-away'
  | 'worker-lost'
  | 'session-ended'
  | 'malformed';

export interface ExecutionFiles {
  /** Sorted by path. Null exactly if `reason` is set. */
  readonly changes: readonly FileChange[] | null;
  readonly reason: NoChangesReason | null;
  /** Whether other code or the API may have made some of the changes, because it ran at the same time. */
  readonly shared: boolean;
}

/** The result when the changes are not known. */
export function unknownFiles(reason: NoChangesReason): ExecutionFiles {
  return { changes: null, reason, shared: false };
}
