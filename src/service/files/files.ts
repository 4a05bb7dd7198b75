/** Reads files: lists of folders, facts about one file, and short texts. */
import { buffer } from 'node:stream/consumers';
import { DomainError } from '../../domain/errors.ts';
import { quoted } from '../../domain/text.ts';
import type { FileContent } from '../../domain/workerFiles.ts';
import {
  DEFAULT_PAGE_SIZE,
  type ListPage,
  MAX_PAGE_SIZE,
  type PageRequest,
} from '../lists/lists.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import {
  type GivenPath,
  refuse,
  validateNumber,
  validatePath,
  validateUserUuid,
} from '../validate.ts';
import { type ReadContentDeps, readContent } from './archives.ts';
import {
  askWorker,
  type FileView,
  isMissing,
  requireSession,
  type SessionFilesDeps,
  tooLarge,
  useOpenSession,
} from './sessionFiles.ts';

interface FileTextRequest {
  readonly maxBytes?: number | null | undefined;
  /** Counts the bytes that are about to be read, and throws if the answer would become too large. */
  readonly charge: (bytes: number) => void;
}

/**
 * The whole content of a small file. Null for a folder or anything else that is no file (a link counts as its target),
 * and for a file that is gone.
 * @throws BAD_USER_INPUT; FILE_TOO_LARGE if the file is larger than `maxBytes`; the errors of `sessionFiles.ts`
 */
export async function fileText(
  deps: ReadContentDeps & Pick<ServiceDeps, 'config'>,
  principal: Principal,
  { userUuid, entry }: FileView,
  { maxBytes, charge }: FileTextRequest,
): Promise<Buffer | null> {
  const { maxFileTextBytes } = deps.config;
  const limit = validateNumber('maxBytes', maxBytes ?? maxFileTextBytes, {
    min: 0,
    max: maxFileTextBytes,
  });
  if (entry.kind !== 'file' && entry.kind !== 'link') return null;
  try {
    const content = await readContent(deps, principal, { userUuid, path: entry.pathBytes });
    try {
      return await wholeOf(content, limit, charge);
    } finally {
      content.body.destroy();
    }
  } catch (error: unknown) {
    if (error instanceof DomainError && NO_FILE.has(error.code)) return null;
    throw error;
  }
}

async function wholeOf(
  { length, body }: FileContent,
  limit: number,
  charge: FileTextRequest['charge'],
): Promise<Buffer> {
  if (length > limit) {
    const what = `The file is ${length} bytes (over HTTP, /files/ sends files of any size)`;
    throw tooLarge(what, limit, 'maxBytes, at most MAX_FILE_TEXT_BYTES');
  }
  charge(length);
  return await buffer(body);
}

const NO_FILE: ReadonlySet<string> = new Set([
  'FILE_NOT_FOUND',
  'NOT_FOUND',
  'IS_A_DIRECTORY',
  'NOT_A_DIRECTORY',
  'NOT_A_FILE',
]);

/** The worker has the same limit. */
const MAX_DEPTH = 32;
/** A position is a path in base64, and the longest path of 4,095 bytes takes 5,460 characters. */
const MAX_POSITION_CHARS = 8_192;

interface FolderRequest extends PageRequest {
  readonly userUuid: string;
  readonly path: GivenPath;
  /** How many levels below the folder. 1: only what is in the folder itself. */
  readonly depth?: number | null | undefined;
}

/**
 * The entries of a folder, in the order of the bytes of their names, each folder before its own entries. Links are
 * listed but not followed. A page may be shorter than requested; `hasNextPage` says whether more follows.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, and the errors of `sessionFiles.ts`
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

/** Positions are names, joined by slashes, in base64url (worker-image/agent/cellhouse_files/operations/listing.py). */
function isPosition(cursor: string): boolean {
  return (
    cursor !== '' &&
    cursor.length <= MAX_POSITION_CHARS &&
    Buffer.from(cursor, 'base64url').toString('base64url') === cursor.replace(/=+$/, '')
  );
}

/**
 * The file, folder or link at a path. Null if nothing is there, or if the user has no open session.
 * @param options `follow`: the target of a link, instead of the link itself
 * @throws BAD_USER_INPUT, FILE_ACCESS_DENIED, and the other errors of `sessionFiles.ts`
 */
export async function file(
  deps: SessionFilesDeps,
  principal: Principal,
  userUuid: string,
  given: GivenPath,
  options: { readonly follow?: boolean } = {},
): Promise<FileView | null> {
  validateUserUuid(userUuid);
  const path = validatePath(given);
  const session = await useOpenSession(deps, principal, userUuid);
  if (!session) return null;
  try {
    const entry = await askWorker(deps, session, path, (files) => files.stat(path.bytes, options));
    return { userUuid, entry };
  } catch (error: unknown) {
    if (isMissing(error)) return null;
    throw error;
  }
}
