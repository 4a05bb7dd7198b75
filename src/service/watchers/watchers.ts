/** Watchers, which report what happens in folders of a session. E2B's clients use them. */
import { pause } from '../../async/pause.ts';
import { type FilePath, filePath } from '../../domain/filePath.ts';
import { quoted } from '../../domain/text.ts';
import {
  FileRefusedError,
  type FolderEvent,
  type FolderEvents,
  MAX_WATCHER_KEEP_MS,
  type WorkerFiles,
} from '../../domain/workerFiles.ts';
import { askWorker, requireSession, type SessionFilesDeps } from '../files/sessionFiles.ts';
import type { Principal } from '../principal.ts';
import {
  type GivenPath,
  refuse,
  validatePath,
  validateUserUuid,
  validateWholeNumber,
} from '../validate.ts';

/** The worker only compares ids, so the exact limit does not matter. */
const MAX_WATCHER_ID_CHARS = 64;

/** The id in the form of a path, so that error messages name the watcher like a file. @throws BAD_USER_INPUT */
function validateWatcherId(watcherId: string): FilePath {
  if (!/^[\w-]+$/.test(watcherId) || watcherId.length > MAX_WATCHER_ID_CHARS) {
    return refuse('watcherId', `must be the id of a watcher, not ${quoted(watcherId)}`, {});
  }
  return filePath(Buffer.from(watcherId));
}

interface WatchRequest {
  readonly userUuid: string;
  readonly path: GivenPath;
  /** Whether to watch what is in the folders below, too. */
  readonly isRecursive: boolean;
  /** Whether each event contains the entry that is there when the event is reported. */
  readonly hasEntries: boolean;
}

/**
 * Watches a folder from now on, until the watcher is removed, or has not been asked for its events for `keepMs`. It
 * lives in the worker, so any gateway can ask it. Each question counts as a use of the session; the watcher alone does
 * not.
 * @returns the id of the watcher
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, NOT_A_DIRECTORY, FILES_BUSY if there are too many watchers,
 * FILE_TOO_LARGE if there is too much in the folder, and the errors of `sessionFiles.ts`
 */
export async function createWatcher(
  deps: SessionFilesDeps,
  principal: Principal,
  request: WatchRequest & { readonly keepMs: number },
): Promise<string> {
  const { userUuid, path: given, isRecursive: recursive, hasEntries: entries, keepMs } = request;
  validateUserUuid(userUuid);
  const path = validatePath(given);
  validateWholeNumber('keepMs', keepMs, { min: 1, max: MAX_WATCHER_KEEP_MS });
  const session = await requireSession(deps, principal, userUuid);
  return await askWorker(deps, session, path, (files) =>
    files.watch(path.bytes, { recursive, entries, keepMs }),
  );
}

/** How often a worker is asked. Short enough to seem immediate to people. */
const ASK_INTERVAL_MS = 250;
/** The largest share of the time that scans may take: a scan of a large folder costs CPU time of the worker. */
const SCANS_SHARE = 0.1;
/**
 * The longest pause after a slow answer. Far shorter than KEEP_MS, so that the worker does not drop the watcher
 * meanwhile.
 */
const MAX_PAUSE_MS = 5_000;
/**
 * After this time without a question, the worker drops a watcher that a killed gateway left. Longer than any answer
 * takes.
 */
const KEEP_MS = 300_000;

interface FolderFollower {
  /** Aborted when the follower goes. */
  readonly gone: AbortSignal;
  /** Called when the watcher is set up: from then on, nothing is missed. */
  started(): Promise<void>;
  /** Called with new events, in order. The worker is not asked again before this resolves. */
  onEvents(events: readonly FolderEvent[]): Promise<void>;
}

/**
 * Reports what happens in a folder, until the follower goes. Until then, the session does not end as idle. Otherwise
 * like {@link watcherEvents}.
 * @throws what {@link createWatcher} throws; FILES_UNAVAILABLE if events may have been missed
 */
export async function followFolder(
  deps: SessionFilesDeps,
  principal: Principal,
  { userUuid, path: given, isRecursive, hasEntries }: WatchRequest,
  follower: FolderFollower,
): Promise<void> {
  validateUserUuid(userUuid);
  const path = validatePath(given);
  const session = await requireSession(deps, principal, userUuid);
  await askWorker(deps, session, path, async (files) => {
    const how = { recursive: isRecursive, entries: hasEntries, keepMs: KEEP_MS };
    const watcherId = await files.watch(path.bytes, how);
    try {
      await follower.started();
      await tellEvents(files, watcherId, follower);
    } catch (error: unknown) {
      if (!follower.gone.aborted) throw asMissed(error);
    } finally {
      // If this fails, the worker drops the watcher by itself after KEEP_MS.
      await files.unwatch(watcherId).catch(() => undefined);
    }
  });
}

async function tellEvents(
  files: WorkerFiles,
  watcherId: string,
  { gone, onEvents }: FolderFollower,
): Promise<void> {
  while (!gone.aborted) {
    const beganMs = performance.now();
    const { events, hasMore } = await files.watchedEvents(watcherId, gone);
    const tookMs = performance.now() - beganMs;
    if (events.length > 0) await onEvents(events);
    if (!hasMore) await pause(pauseAfter(tookMs), gone);
  }
}

/** How long to wait before the next question, after one that took `tookMs`. */
export function pauseAfter(tookMs: number): number {
  return Math.min(MAX_PAUSE_MS, Math.max(ASK_INTERVAL_MS, tookMs / SCANS_SHARE));
}

/** If the file helper has restarted, the watcher is gone, and so are the events that it had not reported yet. */
function asMissed(error: unknown): unknown {
  if (!(error instanceof FileRefusedError) || error.code !== 'no_watcher') return error;
  return new FileRefusedError('unavailable', error.message);
}

interface WatcherRequest {
  readonly userUuid: string;
  readonly watcherId: string;
}

/**
 * The events in a watched folder since the last call. Each event is reported once, at most 1,000 in an answer. A file
 * that appears and vanishes between two calls is not reported. Several writes between two calls are one event.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILE_NOT_FOUND if there is no such watcher, FILE_TOO_LARGE
 * while there is too much in the folder, and the errors of `sessionFiles.ts`
 */
export async function watcherEvents(
  deps: SessionFilesDeps,
  principal: Principal,
  { userUuid, watcherId }: WatcherRequest,
): Promise<FolderEvents> {
  validateUserUuid(userUuid);
  const named = validateWatcherId(watcherId);
  const session = await requireSession(deps, principal, userUuid);
  return await askWorker(deps, session, named, (files) => files.watchedEvents(watcherId));
}

/**
 * Ends a watcher.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILE_NOT_FOUND if there is no such watcher, and the errors
 * of `sessionFiles.ts`
 */
export async function removeWatcher(
  deps: SessionFilesDeps,
  principal: Principal,
  { userUuid, watcherId }: WatcherRequest,
): Promise<void> {
  validateUserUuid(userUuid);
  const named = validateWatcherId(watcherId);
  const session = await requireSession(deps, principal, userUuid);
  await askWorker(deps, session, named, (files) => files.unwatch(watcherId));
}
