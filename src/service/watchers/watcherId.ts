import { type FilePath, filePath } from '../../domain/filePath.ts';
import { quoted } from '../../domain/quoted.ts';
import { refuse } from '../validate.ts';

/** An id is only compared by the worker, so this is only a bound. */
const MAX_WATCHER_ID_CHARS = 64;

/** What names a watcher in messages, like the path of a file. @throws BAD_USER_INPUT */
export function validateWatcherId(watcherId: string): FilePath {
  if (!/^[\w-]+$/.test(watcherId) || watcherId.length > MAX_WATCHER_ID_CHARS) {
    return refuse('watcherId', `must be the id of a watcher, not ${quoted(watcherId)}`, {});
  }
  return filePath(Buffer.from(watcherId));
}
