/** Watchers of folders, which live in workers (docs/worker-protocol.md, "Watchers"). */
import type { FileEntry, WorkerPath } from './fileEntry.ts';

/** A file or folder with another name is a `rename` of the old name and a `create` of the new one, as with inotify. */
export const FOLDER_EVENT_TYPES = ['create', 'write', 'remove', 'rename', 'chmod'] as const;
export type FolderEventType = (typeof FOLDER_EVENT_TYPES)[number];

export interface FolderEvent {
  readonly type: FolderEventType;
  /** Relative to the watched folder, which is `.` itself. Escaped if it is not UTF-8. */
  readonly name: string;
  /** What is there by now. Null if nothing is, if another thing may be, or if entries are not asked for. */
  readonly entry: FileEntry | null;
}

export interface FolderEvents {
  /** First what is gone, each entry before its folder. Then what is there, each folder before its entries. */
  readonly events: readonly FolderEvent[];
  /** Whether more is known already, so that it is worth asking again at once. */
  readonly hasMore: boolean;
}

/** The limit of a worker. */
export const MAX_WATCHERS = 16;
/** The limit of one watcher: files, folders and all else in the folder. */
export const MAX_WATCHED_ENTRIES = 10_000;
/** The same for the bytes of their paths from the folder. */
export const MAX_WATCHED_PATH_BYTES = 1_048_576;
/** How long a watcher that nobody asks can be kept at most. */
export const MAX_WATCHER_KEEP_MS = 86_400_000;

export interface WatcherOptions {
  /** Also watches what is in the folders below. */
  readonly recursive: boolean;
  /** Tells events with what is there by then. */
  readonly entries: boolean;
  /** How long the watcher is kept if nobody asks it. */
  readonly keepMs: number;
}

/** The watchers of one worker. It rejects as {@link WorkerFiles} does. */
export interface FolderWatchers {
  /**
   * Watches a folder from now on. @returns the watcher's id, which nobody can guess
   */
  watch(path: WorkerPath, options: WatcherOptions, signal?: AbortSignal): Promise<string>;
  /** What has happened since the last answer. The worker looks now. Each event is told once. */
  watchedEvents(watcherId: string, signal?: AbortSignal): Promise<FolderEvents>;
  unwatch(watcherId: string, signal?: AbortSignal): Promise<void>;
}
