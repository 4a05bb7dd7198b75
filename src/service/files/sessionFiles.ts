/** The files of a user's session, reached from any gateway. */

import type { Readable } from 'node:stream';
import { DomainError, type ErrorCode, hasCode, RETRY_AFTER_MS } from '../../domain/errors.ts';
import type { FilePath } from '../../domain/filePath.ts';
import type { Session } from '../../domain/session.ts';
import { quoted } from '../../domain/text.ts';
import {
  type FileEntry,
  type FileRefusalCode,
  FileRefusedError,
  MAX_WATCHED_ENTRIES,
  MAX_WATCHED_PATH_BYTES,
  MAX_WATCHERS,
  type WorkerFiles,
} from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import { notFound } from '../refusal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';

/** A file of a user's session, as it was when the worker looked. */
export interface FileView {
  readonly userUuid: string;
  readonly entry: FileEntry;
}

// The errors that a caller gets when a file operation fails.

/** The client ended its upload before the last byte. No caller is left to get an error. */
export class UploadAbortedError extends Error {
  constructor(options?: ErrorOptions) {
    super('The client went away while sending a file.', options);
    this.name = 'UploadAbortedError';
  }
}

interface FileFailure {
  readonly code: ErrorCode;
  /** Follows the quoted path. */
  readonly what: string;
  readonly mayRetry?: true;
}

const FAILURES: Readonly<Record<FileRefusalCode, FileFailure>> = {
  bad_request: { code: 'BAD_USER_INPUT', what: 'is refused by the worker' },
  bad_path: { code: 'BAD_USER_INPUT', what: 'is no path that the worker accepts' },
  too_many_links: { code: 'BAD_USER_INPUT', what: 'leads through too many links' },
  bad_archive: { code: 'BAD_USER_INPUT', what: 'cannot be filled from this archive' },
  bad_range: { code: 'BAD_USER_INPUT', what: 'has no bytes in this range' },
  other_disk: {
    code: 'BAD_USER_INPUT',
    what: 'is a folder, and the other path is on another disk of the worker. Only files can be moved there',
  },
  permission_denied: { code: 'FILE_ACCESS_DENIED', what: "is closed to the session's user" },
  not_found: { code: 'FILE_NOT_FOUND', what: 'does not exist' },
  timed_out: { code: 'FILE_TIMEOUT', what: 'took too long: nothing moved for a while' },
  not_a_file: { code: 'NOT_A_FILE', what: 'is no regular file' },
  not_a_directory: {
    code: 'NOT_A_DIRECTORY',
    what: 'is, or leads through, something that is no folder',
  },
  not_empty: {
    code: 'FILE_EXISTS',
    what: 'is, or would replace, a folder that is not empty or that code is changing',
  },
  exists: { code: 'FILE_EXISTS', what: 'exists already' },
  precondition_failed: {
    code: 'PRECONDITION_FAILED',
    what: 'does not have the version that the call requires',
  },
  too_large: { code: 'FILE_TOO_LARGE', what: 'is too large for this' },
  disk_full: {
    code: 'NO_SPACE',
    what: "does not fit on the worker's disk (WORKER_DISK_MB). Each file has its old or its new content. An archive may be extracted in part",
  },
  busy: {
    code: 'FILES_BUSY',
    what: 'must wait: the worker has too many file operations under way',
    mayRetry: true,
  },
  unavailable: {
    code: 'FILES_UNAVAILABLE',
    what: 'cannot be reached now: its worker has to restart its file helper',
    mayRetry: true,
  },
  other_session: {
    code: 'FILES_UNAVAILABLE',
    what: 'cannot be reached: its worker serves another session',
    mayRetry: true,
  },
  other_boot: {
    code: 'FILES_UNAVAILABLE',
    what: 'cannot be reached: its worker was restarted',
    mayRetry: true,
  },
  no_watcher: {
    code: 'FILE_NOT_FOUND',
    what: 'is no watcher of this session. It was removed, or nobody has asked it for too long, or the worker had to restart its file helper',
  },
  too_many_watchers: {
    code: 'FILES_BUSY',
    what: `cannot be watched: there are ${MAX_WATCHERS} watchers in this session, as many as it may have. Remove one`,
  },
  too_many_watched: {
    code: 'FILE_TOO_LARGE',
    what: `cannot be watched: there are more than ${MAX_WATCHED_ENTRIES} files and folders, or more than ${MAX_WATCHED_PATH_BYTES} bytes of paths. One watcher watches no more`,
  },
};

/** The error for a refusal of the worker. */
function refusedError(refusal: FileRefusedError, path: FilePath): DomainError {
  const { code, what: general, mayRetry } = FAILURES[refusal.code];
  // Only the worker knows what is wrong with an archive. Its message goes only to the user of its session.
  const what = refusal.code === 'bad_archive' ? `${general} (${refusal.message})` : general;
  const details = {
    ...(code === 'BAD_USER_INPUT' && { field: 'path' }),
    ...(mayRetry && { retryAfterMs: RETRY_AFTER_MS }),
  };
  return new DomainError(code, `${quoted(path.text)} ${what}.`, details, { cause: refusal });
}

/** Whether a file operation failed because nothing is there. True also if the session has ended meanwhile. */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof DomainError && (error.code === 'FILE_NOT_FOUND' || error.code === 'NOT_FOUND')
  );
}

/** The error for a folder where a file is wanted. */
function isDirectory(path: FilePath): DomainError {
  return new DomainError('IS_A_DIRECTORY', `${quoted(path.text)} is a folder.`);
}

/** The error for a file that is larger than allowed. */
export function tooLarge(what: string, limit: number, setting: string): DomainError {
  return new DomainError(
    'FILE_TOO_LARGE',
    `${what}, at most ${limit} bytes are allowed (${setting}).`,
    { limit },
  );
}

/** The error for a worker that does not answer, or that could not even be asked. */
function unreachable(cause: unknown, wasAsked: boolean): DomainError {
  return new DomainError(
    'FILES_UNAVAILABLE',
    wasAsked
      ? "The connection to the session's worker broke before it answered. A change may have happened or not."
      : "The session's worker cannot be reached now. Nothing was changed.",
    { retryAfterMs: RETRY_AFTER_MS },
    { cause },
  );
}

/** Codes of a connection that was never made. */
const NEVER_CONNECTED = ['ENOENT', 'ECONNREFUSED', 'EAGAIN'];

export function wasNeverConnected(error: unknown): boolean {
  return NEVER_CONNECTED.some((code) => hasCode(error, code));
}

/**
 * Refusals before anything is done. After any other refusal, a part of an archive may be extracted, or a part of a
 * folder deleted. For an archive, `not_found` is not one of these: extraction makes its folders, so a folder that it
 * does not find has vanished meanwhile. `busy` is not one either: it can mean that the worker reached a limit of the
 * system halfway, e.g. had no descriptor left.
 */
const DONE_NOTHING: ReadonlySet<FileRefusalCode> = new Set([
  'bad_request',
  'bad_path',
  'not_found',
  'precondition_failed',
  'other_session',
  'other_boot',
]);

/** Whether a failed change of many files may have changed some of them. */
export function mayHaveChangedSome(operation: 'extract' | 'delete', error: unknown): boolean {
  if (!(error instanceof FileRefusedError)) return true;
  if (operation === 'extract' && error.code === 'not_found') return true;
  return !DONE_NOTHING.has(error.code);
}

export type SessionFilesDeps = Pick<ServiceDeps, 'database' | 'pool' | 'sessionUses'>;

/** The user's open session, which counts as used now. Null if there is none. */
export async function useOpenSession(
  { database, sessionUses }: Pick<ServiceDeps, 'database' | 'sessionUses'>,
  { tenant }: Principal,
  userUuid: string,
): Promise<Session | null> {
  const session = await database.queries.openSession(tenant, userUuid);
  return session && (await sessionUses.use(session)) ? session : null;
}

/** The user's open session. @throws NOT_FOUND */
export async function requireSession(
  deps: Pick<ServiceDeps, 'database' | 'sessionUses'>,
  principal: Principal,
  userUuid: string,
): Promise<Session> {
  const session = await useOpenSession(deps, principal, userUuid);
  if (!session) throw noSession(userUuid);
  return session;
}

function noSession(userUuid: string): DomainError {
  return notFound('open session of user', userUuid);
}

/**
 * Asks the session's worker about the file at `path`. An operation under way keeps the session from ending as idle.
 * @throws NOT_FOUND if the session has ended; the errors in {@link FAILURES}; the AbortError of an aborted transfer;
 * UploadAbortedError
 */
export async function askWorker<T>(
  deps: SessionFilesDeps,
  session: Session,
  path: FilePath,
  ask: (files: WorkerFiles) => Promise<T>,
): Promise<T> {
  let files: WorkerFiles | null = null;
  const letGo = deps.sessionUses.hold(session);
  try {
    files = await deps.pool.filesOf(session);
    if (!files) throw new Error('The worker is gone.');
    return await ask(files);
  } catch (error: unknown) {
    throw await callerErrorOf(deps, session, path, files, error);
  } finally {
    letGo();
  }
}

async function callerErrorOf(
  deps: SessionFilesDeps,
  session: Session,
  path: FilePath,
  files: WorkerFiles | null,
  error: unknown,
): Promise<unknown> {
  if (error instanceof DomainError || error instanceof UploadAbortedError) return error;
  if (error instanceof FileRefusedError) {
    if (error.code === 'not_a_file' && (await isFolder(files, path))) return isDirectory(path);
    return refusedError(error, path);
  }
  if (error instanceof Error && error.name === 'AbortError') return error;
  const now = await deps.database.queries.session(session.id);
  return now?.closedAt === null ? unreachable(error, files !== null) : noSession(session.userUuid);
}

async function isFolder(files: WorkerFiles | null, path: FilePath): Promise<boolean> {
  const entry = await files?.stat(path.bytes, { follow: true }).catch(() => null);
  return entry?.kind === 'directory';
}

/**
 * Counts a download from its beginning until its body is closed. Until then, the session does not end as idle.
 * @throws FILES_BUSY, and what `open` throws
 */
export async function whileMoving<T extends { readonly body: Readable }>(
  { fileTransfers, sessionUses }: Pick<ServiceDeps, 'fileTransfers' | 'sessionUses'>,
  session: Session,
  open: () => Promise<T>,
): Promise<T> {
  const end = fileTransfers.begin();
  try {
    const opened = await open();
    const letGo = sessionUses.hold(session);
    opened.body.once('close', () => {
      letGo();
      end();
    });
    return opened;
  } catch (error: unknown) {
    end();
    throw error;
  }
}
