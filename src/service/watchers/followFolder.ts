import { pause } from '../../async/pause.ts';
import type { FolderEvent } from '../../domain/workerFiles.ts';
import { FileRefusedError, type WorkerFiles } from '../../domain/workerFiles.ts';
import { validatePath } from '../files/filePaths.ts';
import { askWorker, requireSession, type SessionFilesDeps } from '../files/sessionFiles.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import type { WatchRequest } from './createWatcher.ts';

/** A worker is asked so often. People take it for at once. */
const ASK_INTERVAL_MS = 250;
/** A look at a large folder costs the worker's CPU, so looks take at most so large a part of the time. */
const LOOKS_SHARE = 0.1;
/** Far shorter than KEEP_MS: a worker that was slow once must not drop the watcher. */
const MAX_PAUSE_MS = 5_000;
/** If this gateway is killed, the watcher that it leaves is dropped soon. Longer than any answer takes. */
const KEEP_MS = 300_000;

export interface FolderFollower {
  /** Aborted when the follower goes. */
  readonly gone: AbortSignal;
  /** From now on, nothing is missed. */
  started(): Promise<void>;
  /** What has happened, in order. Nothing more is asked before it resolves. */
  told(events: readonly FolderEvent[]): Promise<void>;
}

/**
 * Tells what happens in a folder, until the follower goes. Until then, the session does not end as idle. As
 * {@link watcherEvents} otherwise.
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
      // If this fails, the worker drops it by itself.
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

/** How long to wait for the next question, after one that took so long. */
export function pauseAfter(tookMs: number): number {
  return Math.min(MAX_PAUSE_MS, Math.max(ASK_INTERVAL_MS, tookMs / LOOKS_SHARE));
}

/** A watcher is gone with the helper that kept it, and with it what it had not told yet. */
function asMissed(error: unknown): unknown {
  if (!(error instanceof FileRefusedError) || error.code !== 'no_watcher') return error;
  return new FileRefusedError('unavailable', error.message);
}
