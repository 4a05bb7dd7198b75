import { type FilePath, filePath } from '../../domain/filePath.ts';
import { quoted } from '../../domain/quoted.ts';
import { refuse } from '../validate.ts';

/** The worker only compares ids, so the exact limit does not matter. */
const MAX_WATCHER_ID_CHARS = 64;

/** The id in the form of a path, so that error messages name the watcher like a file. @throws BAD_USER_INPUT */
export function validateWatcherId(watcherId: string): FilePath {
  if (!/^[\w-]+$/.test(watcherId) || watcherId.length > MAX_WATCHER_ID_CHARS) {
    return refuse('watcherId', `must be the id of a watcher, not ${quoted(watcherId)}`, {});
  }
  return filePath(Buffer.from(watcherId));
}
