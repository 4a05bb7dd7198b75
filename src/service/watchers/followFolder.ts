import { pause } from '../../async/pause.ts';
import { FileRefusedError, type FolderEvent, type WorkerFiles } from '../../domain/workerFiles.ts';
import { validatePath } from '../files/filePaths.ts';
import { askWorker, requireSession, type SessionFilesDeps } from '../files/sessionFiles.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import type { WatchRequest } from './createWatcher.ts';

/** How often a worker is asked. Short enough to seem immediate to people. */
const ASK_INTERVAL_MS = 250;
/** The largest share of the time that scans may take: a scan of a large folder costs CPU time of the worker. */
const LOOKS_SHARE = 0.1;
/** Far shorter than KEEP_MS: a worker that was slow once must not drop the watcher. */
const MAX_PAUSE_MS = 5_000;
/**
 * After this time without a question, the worker drops a watcher that a killed gateway left. Longer than any answer
 * takes.
 */
const KEEP_MS = 300_000;

export interface FolderFollower {
  /** Aborted when the follower goes. */
  readonly gone: AbortSignal;
  /** Called when the watcher is set up: from then on, nothing is missed. */
  started(): Promise<void>;
  /** Called with new events, in order. The worker is not asked again before this resolves. */
  told(events: readonly FolderEvent[]): Promise<void>;
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
  { gone, told }: FolderFollower,
): Promise<void> {
  while (!gone.aborted) {
    const beganMs = performance.now();
    const { events, hasMore } = await files.watchedEvents(watcherId, gone);
    const tookMs = performance.now() - beganMs;
    if (events.length > 0) await told(events);
    if (!hasMore) await pause(pauseAfter(tookMs), gone);
  }
}

/** How long to wait before the next question, after one that took `tookMs`. */
export function pauseAfter(tookMs: number): number {
  return Math.min(MAX_PAUSE_MS, Math.max(ASK_INTERVAL_MS, tookMs / LOOKS_SHARE));
}

/** If the file helper has restarted, the watcher is gone, and so are the events that it had not reported yet. */
function asMissed(error: unknown): unknown {
  if (!(error instanceof FileRefusedError) || error.code !== 'no_watcher') return error;
  return new FileRefusedError('unavailable', error.message);
}
