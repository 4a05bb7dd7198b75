import { askWorker, requireSession, type SessionFilesDeps } from '../files/sessionFiles.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import type { WatcherRequest } from './watcherEvents.ts';
import { validateWatcherId } from './watcherId.ts';

/**
 * Ends a watcher.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILE_NOT_FOUND if there is no such watcher, and the errors
 * of `fileErrors.ts`
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
