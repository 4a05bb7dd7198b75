import type { FolderEvents } from '../../domain/workerFiles.ts';
import { askWorker, requireSession, type SessionFilesDeps } from '../files/sessionFiles.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { validateWatcherId } from './watcherId.ts';

export interface WatcherRequest {
  readonly userUuid: string;
  readonly watcherId: string;
}

/**
 * The events in a watched folder since the last call. Each event is reported once, at most 1,000 in an answer. A file
 * that appears and vanishes between two calls is not reported. Several writes between two calls are one event.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILE_NOT_FOUND if there is no such watcher, FILE_TOO_LARGE
 * while there is too much in the folder, and the errors of `fileErrors.ts`
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
