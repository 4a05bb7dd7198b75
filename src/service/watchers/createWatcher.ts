import { MAX_WATCHER_KEEP_MS } from '../../domain/workerFiles.ts';
import { type GivenPath, validatePath } from '../files/filePaths.ts';
import { askWorker, requireSession, type SessionFilesDeps } from '../files/sessionFiles.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid, validateWholeNumber } from '../validate.ts';

export interface WatchRequest {
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
 * FILE_TOO_LARGE if there is too much in the folder, and the errors of `fileErrors.ts`
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
