/**
 * The files that an execution changed in the user's home, as its worker reports them. Paths are relative to the home.
 * The worker runs code that may be hostile, so its report may be wrong. Changes that clients make through the API are
 * recorded by the gateway itself (`fileChange.ts`).
 */

export type FileChangeKind = 'CREATED' | 'MODIFIED' | 'DELETED';

export interface FileChange {
  /** Bytes that are not UTF-8 are written as `\xNN`, and a backslash as `\\`. */
  readonly path: string;
  readonly change: FileChangeKind;
  /** Bytes. Null if it was deleted. */
  readonly size: number | null;
  /** ISO 8601. Null if it was deleted. Code can set it to any time. */
  readonly modifiedAt: string | null;
}

/** The bytes of a path, as {@link FileChange} writes it. */
export function pathBytesOf({ path }: Pick<FileChange, 'path'>): Buffer {
  const parts = path.split(/(\\\\|\\x[0-9a-f]{2})/);
  const bytesOf = (part: string) => {
    if (part === '\\\\') return Buffer.from('\\');
    return part.startsWith('\\x') ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part);
  };
  return Buffer.concat(parts.map(bytesOf));
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
