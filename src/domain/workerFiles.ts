/** The operations on the files of a worker, and their answers. The answers come from a worker that may be hostile. */
import type { Readable } from 'node:stream';

export type FileKind = 'file' | 'directory' | 'link' | 'other';

/** One file, folder, link, or anything else, as it was when the worker looked. */
export interface FileEntry {
  /**
   * Relative to the home if it is inside the home (`.` is the home itself), else absolute. Escaped if it is not UTF-8.
   */
  readonly path: string;
  /** The exact bytes of `path`. */
  readonly pathBytes: Buffer;
  /** The last part of `path`, escaped like it. */
  readonly name: string;
  readonly kind: FileKind;
  /** In bytes. 0 for everything but a regular file. */
  readonly size: number;
  /** The twelve permission bits. */
  readonly mode: number;
  /** In milliseconds since the Unix epoch. */
  readonly modifiedAt: number;
  /** A strong entity tag, with its quotes. */
  readonly etag: string;
  /** The name of the user that it belongs to, or the number if there is no name. */
  readonly owner: string;
  /** The same for its group. */
  readonly group: string;
  /** Where a link leads, escaped if it is not UTF-8; null if this is no link. */
  readonly target: string | null;
  /**
   * The final target of a link. Null if it does not exist, if the user of the worker may not see it, or if this is not
   * a link.
   */
  readonly leadsTo: LinkEnd | null;
}

export interface LinkEnd {
  /** From the root, escaped if it is not UTF-8. */
  readonly path: string;
  readonly kind: FileKind;
  /** The twelve permission bits. */
  readonly mode: number;
}

/** Why a worker refused a file operation (docs/internals/worker-protocol.md, "Files"). */
export type FileRefusalCode =
  | 'bad_request'
  | 'bad_path'
  | 'too_many_links'
  | 'bad_archive'
  | 'permission_denied'
  | 'not_found'
  | 'timed_out'
  | 'not_a_file'
  | 'not_a_directory'
  | 'not_empty'
  | 'exists'
  | 'other_disk'
  | 'precondition_failed'
  | 'too_large'
  | 'bad_range'
  | 'busy'
  | 'unavailable'
  | 'disk_full'
  | 'other_session'
  | 'other_boot'
  | 'no_watcher'
  | 'too_many_watchers'
  /** The folder has more entries than one watcher may watch. */
  | 'too_many_watched';

/** The worker refused the operation, and has done nothing, or only a part of a folder or archive. */
export class FileRefusedError extends Error {
  readonly code: FileRefusalCode;
  constructor(code: FileRefusalCode, message: string) {
    super(message);
    this.name = 'FileRefusedError';
    this.code = code;
  }
}

/** A path as text or, where a name is not UTF-8, as bytes. Relative to the home, or absolute. */
export type WorkerPath = string | Uint8Array;

/** The form in which a worker writes entity tags. No file has a tag of another form. */
export const ETAG = /^"[0-9a-f-]{1,100}"$/;
/** In a precondition: any version of the file. */
export const ANY_VERSION = '*';
/** In a precondition: an entity tag that no file has. */
export const NO_VERSION = '""';

export interface FilePrecondition {
  /** Entity tags, separated by commas. The file must exist with one of them. `*`: with any tag. */
  readonly ifMatch?: string;
  /** Entity tags, separated by commas. The file must have none of them. `*`: it must not exist. */
  readonly ifNoneMatch?: string;
}

export interface ReadFileOptions extends FilePrecondition {
  /** The offset of the first byte. A negative offset counts from the end. 0 by default. */
  readonly offset?: number;
  /** The most bytes to read. By default, to the end. */
  readonly length?: number;
}

export interface FileContent {
  readonly entry: FileEntry;
  /** True: `ifNoneMatch` named this very content, so `body` is empty. */
  readonly isKnown: boolean;
  /** The first byte of the part. */
  readonly offset: number;
  /** The bytes of the part. */
  readonly length: number;
  /**
   * Gives exactly `length` bytes, or an error. It is also an error if the file shrinks meanwhile, or if no byte arrives
   * within the idle time limit. The caller must read it to its end or destroy it.
   */
  readonly body: Readable;
  /**
   * Lets the next pieces of `body` use the memory of this one. Only for a whole piece that is no longer used. A caller
   * that never calls this gets new memory for each piece.
   */
  giveBack(piece: Buffer): void;
}

export interface UploadOptions {
  /** The number of bytes, if it is known. A body with another number of bytes then counts as aborted. */
  readonly length?: number;
  /** Called with each piece of the body that the worker has received. The piece is no longer used. */
  readonly giveBack?: (piece: Buffer) => void;
}

export interface WriteFileOptions extends FilePrecondition, UploadOptions {
  /** Makes the folders above the file. */
  readonly makeParents?: boolean;
  /** Adds to the end of the file, if there is one. */
  readonly append?: boolean;
}

export interface ListedFile extends FileEntry {
  /** Passed as `after`, it gives the entries that follow this one. */
  readonly position: string;
}

export interface FileListing {
  readonly entries: readonly ListedFile[];
  /** For the next page; null if there is none. */
  readonly next: string | null;
}

/**
 * A renamed file or folder is reported as a `rename` of the old name and a `create` of the new one, as with inotify.
 */
export const FOLDER_EVENT_TYPES = ['create', 'write', 'remove', 'rename', 'chmod'] as const;
export type FolderEventType = (typeof FOLDER_EVENT_TYPES)[number];

export interface FolderEvent {
  readonly type: FolderEventType;
  /** Relative to the watched folder, which is `.` itself. Escaped if it is not UTF-8. */
  readonly name: string;
  /**
   * The entry that has this name now. Null if there is none, if it may not be the entry of this event, or if entries
   * were not asked for.
   */
  readonly entry: FileEntry | null;
}

export interface FolderEvents {
  /**
   * First the events of entries that no longer exist, each before that of its folder. Then the events of entries that
   * exist, each folder before its content.
   */
  readonly events: readonly FolderEvent[];
  /** Whether more events are known already, so that the caller should ask again immediately. */
  readonly hasMore: boolean;
}

/** The most watchers that one worker can have. */
export const MAX_WATCHERS = 16;
/** The most entries that one watcher can watch: files, folders and everything else in the folder. */
export const MAX_WATCHED_ENTRIES = 10_000;
/** The most bytes that the paths of these entries, relative to the folder, may have together. */
export const MAX_WATCHED_PATH_BYTES = 1_048_576;
/** The longest time that a watcher can be kept while nobody asks it. */
export const MAX_WATCHER_KEEP_MS = 86_400_000;

export interface WatcherOptions {
  /** Also watches the content of all folders below. */
  readonly recursive: boolean;
  /** Whether events contain their `entry`. */
  readonly entries: boolean;
  /** How long the watcher is kept if nobody asks it. */
  readonly keepMs: number;
}

/** The watchers of one worker. Its methods reject as those of {@link WorkerFiles} do. */
export interface FolderWatchers {
  /**
   * Watches a folder from now on. @returns the watcher's id, which nobody can guess
   */
  watch(path: WorkerPath, options: WatcherOptions, signal?: AbortSignal): Promise<string>;
  /**
   * The events since the last answer. The worker reads the folder only when this is called. Each event is returned
   * once.
   */
  watchedEvents(watcherId: string, signal?: AbortSignal): Promise<FolderEvents>;
  unwatch(watcherId: string, signal?: AbortSignal): Promise<void>;
}

/**
 * The files of one worker. Every method rejects with {@link FileRefusedError}, with the reason of `signal` when that
 * aborts, or with the connection's error. No method needs a lease. Time limits apply only while nothing is transferred.
 */
export interface WorkerFiles extends FolderWatchers {
  /** The entry of a path. For a link, the link itself unless `follow` is set. */
  stat(path: WorkerPath, options?: { follow?: boolean }, signal?: AbortSignal): Promise<FileEntry>;
  /** One page of the content of a folder, down to `depth` levels below. A folder comes before its content. */
  list(
    path: WorkerPath,
    options?: { depth?: number; after?: string | null; limit?: number },
    signal?: AbortSignal,
  ): Promise<FileListing>;
  read(path: WorkerPath, options?: ReadFileOptions, signal?: AbortSignal): Promise<FileContent>;
  /**
   * Replaces or makes a file. The new content appears under the file's name only when it is complete. If `body` fails,
   * the old file stays. `body` is read as fast as the worker takes it, and is destroyed if this rejects.
   */
  write(
    path: WorkerPath,
    body: Readable,
    options?: WriteFileOptions,
    signal?: AbortSignal,
  ): Promise<{ entry: FileEntry; created: boolean }>;
  /** Makes a folder. If the folder exists already, `created` is false. */
  makeDirectory(
    path: WorkerPath,
    options?: { parents?: boolean },
    signal?: AbortSignal,
  ): Promise<{ entry: FileEntry; created: boolean }>;
  move(
    from: WorkerPath,
    to: WorkerPath,
    options?: {
      overwrite?: boolean;
      /** Makes the folders above `to`, unless there is nothing to move. */
      makeParents?: boolean;
    },
    signal?: AbortSignal,
  ): Promise<FileEntry>;
  /**
   * Deletes a file, a link, or a folder (which must be empty unless `recursive` is set). Resolves with the number of
   * deleted files and their bytes. In a precondition, a link has two entity tags: its own and that of its target.
   */
  remove(
    path: WorkerPath,
    options?: FilePrecondition & { readonly recursive?: boolean },
    signal?: AbortSignal,
  ): Promise<{ size: number; files: number }>;
  /**
   * A folder as an archive. Its bytes end cleanly only if the archive is complete. FIFOs, sockets and devices are left
   * out; a zip has no links either.
   */
  readArchive(
    path: WorkerPath,
    format: ArchiveFormat,
    signal?: AbortSignal,
  ): Promise<{ body: Readable }>;
  /**
   * Unpacks a tar archive into a folder, which is made if it is not there. Only files and folders may be in the
   * archive. If this rejects, the files before the failure are there, each complete.
   * @returns the number of files and their bytes in all
   */
  writeArchive(
    path: WorkerPath,
    body: Readable,
    options?: UploadOptions,
    signal?: AbortSignal,
  ): Promise<{ size: number; files: number }>;
}

export type ArchiveFormat = 'tar' | 'zip';
