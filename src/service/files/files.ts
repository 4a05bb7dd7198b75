import { quoted } from '../../domain/quoted.ts';
import {
  DEFAULT_PAGE_SIZE,
  type ListPage,
  MAX_PAGE_SIZE,
  type PageRequest,
} from '../lists/page.ts';
import type { Principal } from '../principal.ts';
import { refuse, validateNumber, validateUserUuid } from '../validate.ts';
import { type GivenPath, validatePath } from './filePaths.ts';
import type { FileView } from './fileView.ts';
import { askWorker, requireSession, type SessionFilesDeps } from './sessionFiles.ts';

/** The worker's own limit. */
const MAX_DEPTH = 32;
/** A position holds the names of a path, so none is longer than a path of 4,095 bytes in base64. */
const MAX_POSITION_CHARS = 8_192;

export interface FolderRequest extends PageRequest {
  readonly userUuid: string;
  readonly path: GivenPath;
  /** How many levels below the folder. 1: only what is in the folder itself. */
  readonly depth?: number | null | undefined;
}

/**
 * The entries of a folder, in the order of the bytes of their names, each folder before its own entries. Links are
 * listed but not followed. A page may be shorter than requested; `hasNextPage` says whether more follows.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, and the errors of `fileErrors.ts`
 */
export async function files(
  deps: SessionFilesDeps,
  principal: Principal,
  { userUuid, path: given, depth, first, after }: FolderRequest,
): Promise<ListPage<FileView>> {
  validateUserUuid(userUuid);
  const path = validatePath(given);
  const levels = validateNumber('depth', depth ?? 1, { min: 1, max: MAX_DEPTH });
  const limit = validateNumber('first', first ?? DEFAULT_PAGE_SIZE, { min: 1, max: MAX_PAGE_SIZE });
  const position = after ?? null;
  if (position !== null && !isPosition(position)) {
    refuse('after', `must be a cursor of an earlier page, not ${quoted(position)}`, {});
  }
  const session = await requireSession(deps, principal, userUuid);
  const { entries, next } = await askWorker(deps, session, path, (worker) =>
    worker.list(path.bytes, { depth: levels, after: position, limit }),
  );
  return {
    edges: entries.map((entry) => ({ item: { userUuid, entry }, cursor: entry.position })),
    hasNextPage: next !== null,
  };
}

/** Positions are names, joined by slashes, in base64url (worker-image/agent/cellhouse_files/operations/look.py). */
function isPosition(cursor: string): boolean {
  return (
    cursor !== '' &&
    cursor.length <= MAX_POSITION_CHARS &&
    Buffer.from(cursor, 'base64url').toString('base64url') === cursor.replace(/=+$/, '')
  );
}
