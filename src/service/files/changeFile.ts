/** Records a change of a file before it is made, makes it, and records its outcome (docs/internals/events.md). */

import { createHash } from 'node:crypto';
import { pipeline, Readable, Transform } from 'node:stream';
import { DomainError } from '../../domain/errors.ts';
import {
  decideFileChange,
  type FileChange,
  type FileChangeCommand,
  type FileOperation,
} from '../../domain/fileChange.ts';
import type { FilePath } from '../../domain/filePath.ts';
import type { FileChangeId } from '../../domain/ids.ts';
import type { Session } from '../../domain/session.ts';
import {
  ANY_VERSION,
  ETAG,
  type FilePrecondition,
  FileRefusedError,
  NO_VERSION,
  type WorkerFiles,
  type WriteFileOptions,
} from '../../domain/workerFiles.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type EnsureSessionDeps, ensureSession } from '../sessions/opening.ts';
import type { SessionOwner } from '../sessions/validateOptions.ts';
import {
  type Content,
  contentOf,
  type GivenPath,
  refuse,
  validateChangeable,
  validateNewPath,
  validateUserUuid,
} from '../validate.ts';
import { untilInitialized } from '../waiting.ts';
import {
  askWorker,
  type FileView,
  isMissing,
  mayHaveChangedSome,
  requireSession,
  type SessionFilesDeps,
  tooLarge,
  UploadAbortedError,
  wasNeverConnected,
} from './sessionFiles.ts';

type SessionToWriteDeps = EnsureSessionDeps & Pick<ServiceDeps, 'config'>;

/**
 * The session for a call that writes a file: the user's open one, or a new one.
 * @param isAgain whether the session of an earlier attempt has changed
 * @throws POOL_INITIALIZING, and the errors of {@link ensureSession}
 */
export async function sessionToWrite(
  deps: SessionToWriteDeps,
  { tenant, userUuid }: SessionOwner,
  isAgain: boolean,
): Promise<Session> {
  await untilInitialized(deps.pool);
  if (isAgain) await deps.sessions.refresh(tenant, userUuid);
  return await ensureSession(deps, { tenant, userUuid }, deps.config.workerWaitTimeoutMs);
}

/** @throws FILE_TOO_LARGE for an upload whose announced length is above the limit */
export function requireSize(
  { config: { maxFileBytes } }: Pick<ServiceDeps, 'config'>,
  length: number | undefined,
): void {
  if (length === undefined || length <= maxFileBytes) return;
  throw tooLarge(`The upload is ${length} bytes`, maxFileBytes, 'MAX_FILE_BYTES');
}

interface Measured {
  /** The same bytes. Fails with UploadAbortedError if the source fails, or with FILE_TOO_LARGE. */
  readonly body: Readable;
  /** The size and the hash of the bytes that have passed so far. Call it once, at the end. */
  readonly result: () => { readonly size: number; readonly sha256: string };
}

/**
 * Passes an upload on as fast as it is read, and computes its size and hash. A worker's own figures are not trusted.
 */
export function measured(source: Readable, maxBytes: number): Measured {
  const hash = createHash('sha256');
  let size = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > maxBytes) {
        done(tooLarge('The upload is longer', maxBytes, 'MAX_FILE_BYTES'));
        return;
      }
      hash.update(chunk);
      done(null, chunk);
    },
    destroy(error, done) {
      done(error === null || error instanceof DomainError ? error : asAborted(error, source));
    },
  });
  // The reader of `body` gets the error.
  pipeline(source, body, () => {});
  return { body, result: () => ({ size, sha256: hash.digest('hex') }) };
}

/** An error of the source means that the client aborted the upload. Any other error comes from the reader. */
function asAborted(error: Error, source: Readable): Error {
  return source.errored === error ? new UploadAbortedError({ cause: error }) : error;
}

export type ChangeFileDeps = SessionFilesDeps & Pick<ServiceDeps, 'newId' | 'now'>;

interface WantedChange {
  readonly operation: FileOperation;
  readonly path: FilePath;
  readonly to?: FilePath;
}

/** A command that records how a change ended, without its time. */
type FileOutcome = WithoutTime<
  Exclude<FileChangeCommand, { type: 'RequestFileChange' | 'RecordFailure' }>
>;
type WithoutTime<Command> = Command extends unknown ? Omit<Command, 'at'> : never;

/** The result of a change for its caller, and the outcome to record. */
interface Changed<T> {
  readonly result: T;
  readonly outcome: FileOutcome;
}

/**
 * Changes a file of the session that `sessionOf` gives, and resolves when the outcome is durable. The request is only
 * recorded while that session is open; otherwise `sessionOf` is asked again.
 * @throws what `sessionOf` throws, and the errors of `askWorker`
 */
export async function changeFile<T>(
  deps: ChangeFileDeps,
  sessionOf: (isAgain: boolean) => Promise<Session>,
  wanted: WantedChange,
  make: (files: WorkerFiles) => Promise<Changed<T>>,
): Promise<T> {
  const { session, change } = await decideAgain(async (isAgain) => {
    const open = await sessionOf(isAgain);
    return { session: open, change: await request(deps, open, wanted) };
  });
  const { result, outcome } = await makeOrRecordFailure(deps, session, change, wanted, make);
  await record(deps, change, outcome);
  return result;
}

async function makeOrRecordFailure<T>(
  deps: ChangeFileDeps,
  session: Session,
  change: FileChange,
  { path }: WantedChange,
  make: (files: WorkerFiles) => Promise<Changed<T>>,
): Promise<Changed<T>> {
  /** The error of `make`. Undefined if the worker was not asked. */
  let cause: unknown;
  try {
    return await askWorker(deps, session, path, async (files) => {
      try {
        return await make(files);
      } catch (error: unknown) {
        cause = error;
        throw error;
      }
    });
  } catch (error: unknown) {
    const mayHaveHappened = mayHaveChanged(change.operation, cause);
    await recordFailure(deps, change, { error, mayHaveHappened });
    throw error;
  }
}

/** @throws ConcurrencyError if the session has changed */
async function request(
  { database, newId, now }: ChangeFileDeps,
  { id: sessionId, version, workerId, tenant, userUuid }: Session,
  { operation, path, to }: WantedChange,
): Promise<FileChange> {
  const changeId = newId<FileChangeId>();
  const facts = { changeId, tenant, userUuid, sessionId, workerId, operation };
  const events = decideFileChange(
    {
      type: 'RequestFileChange',
      at: now().toISOString(),
      ...facts,
      path: path.text,
      toPath: to?.text ?? null,
    },
    null,
  );
  const { states } = await database.store.commit({
    streams: [{ stream: 'fileChange', id: changeId, state: null, events }],
    openSessions: [{ id: sessionId, version }],
  });
  return states[0] as FileChange;
}

async function record(
  { database, now }: ChangeFileDeps,
  change: FileChange,
  outcome: FileOutcome | Omit<Extract<FileChangeCommand, { type: 'RecordFailure' }>, 'at'>,
): Promise<void> {
  const command = { ...outcome, at: now().toISOString() } as FileChangeCommand;
  const events = decideFileChange(command, change);
  await database.store.commit({
    streams: [{ stream: 'fileChange', id: change.id, state: change, events }],
  });
}

async function recordFailure(
  deps: ChangeFileDeps,
  change: FileChange,
  { error, mayHaveHappened }: { readonly error: unknown; readonly mayHaveHappened: boolean },
): Promise<void> {
  // An error without a code means that the client went away. Then no caller is left to get a code.
  const code = error instanceof DomainError ? error.code : 'ABORTED';
  try {
    await record(deps, change, { type: 'RecordFailure', code, mayHaveHappened });
  } catch (unrecorded: unknown) {
    // E.g. the database is away. The caller gets this error, as it would after a change that succeeded.
    if (unrecorded instanceof DomainError) throw unrecorded;
    throw new AggregateError([error, unrecorded], 'A failed change of a file was not recorded.');
  }
}

/** Whether a change that failed with this cause may have been made, at least in part. */
function mayHaveChanged(operation: FileOperation, cause: unknown): boolean {
  if (cause === undefined || wasNeverConnected(cause)) return false;
  if (operation === 'extract' || operation === 'delete') {
    return mayHaveChangedSome(operation, cause);
  }
  const isCertain = [FileRefusedError, UploadAbortedError, DomainError].some(
    (known) => cause instanceof known,
  );
  return !isCertain;
}

/**
 * Deletes a file, a link, or a folder with all that is in it. Resolves with false if nothing was there, or if the user
 * has no open session.
 * @param versions the versions that may be deleted. The worker checks them in the same step in which it deletes. A link
 * has two versions: its own, and that of its target.
 * @throws BAD_USER_INPUT, FILE_ACCESS_DENIED, PRECONDITION_FAILED, and the other errors of `sessionFiles.ts`
 */
export async function deleteFile(
  deps: ChangeFileDeps,
  principal: Principal,
  userUuid: string,
  given: GivenPath,
  versions: FilePrecondition = {},
): Promise<boolean> {
  validateUserUuid(userUuid);
  const path = validateChangeable(given);
  validateVersions('ifMatch', versions.ifMatch);
  validateVersions('ifNoneMatch', versions.ifNoneMatch);
  try {
    return await changeFile<boolean>(
      deps,
      () => requireSession(deps, principal, userUuid),
      { operation: 'delete', path },
      async (files) => {
        const deleted = await files.remove(path.bytes, { recursive: true, ...versions });
        return { result: true, outcome: { type: 'RecordDeleted', ...deleted } };
      },
    );
  } catch (error: unknown) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** @throws BAD_USER_INPUT */
function validateVersions(field: string, tags: string | undefined): void {
  const isTag = (tag: string) => ETAG.test(tag) || tag === ANY_VERSION || tag === NO_VERSION;
  if (tags === undefined || tags.split(',').every((tag) => isTag(tag.trim()))) return;
  refuse(field, 'must be the `etag` of a file, or several with commas between them, or `*`', {});
}

interface MadeDirectory extends FileView {
  /** Whether the folder is new. */
  readonly created: boolean;
}

/**
 * Makes a folder, and those above it. A folder that is there already is fine. Opens a session if the user has none.
 * @throws BAD_USER_INPUT, FILE_EXISTS if something else has the name, and the errors of {@link sessionToWrite} and of
 * `sessionFiles.ts`
 */
export async function makeDirectory(
  deps: ChangeFileDeps & SessionToWriteDeps,
  principal: Principal,
  userUuid: string,
  given: GivenPath,
): Promise<MadeDirectory> {
  validateUserUuid(userUuid);
  const path = validateNewPath(given);
  return await changeFile<MadeDirectory>(
    deps,
    (isAgain) => sessionToWrite(deps, { ...principal, userUuid }, isAgain),
    { operation: 'make-directory', path },
    async (files) => {
      const { entry, created } = await files.makeDirectory(path.bytes, { parents: true });
      return {
        result: { userUuid, entry, created },
        outcome: { type: 'RecordWritten', size: 0, sha256: null, isNew: created },
      };
    },
  );
}

interface MoveRequest {
  readonly userUuid: string;
  readonly from: GivenPath;
  readonly to: GivenPath;
  /** Replaces a file at `to`. A folder there must be empty. */
  readonly overwrite?: boolean | null | undefined;
  /** Makes the folders above `to`, unless there is nothing to move. */
  readonly makeParents?: boolean;
}

/**
 * Moves a file or folder, so that nobody ever sees half of it. A file can also be moved to another disk of the worker.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILE_NOT_FOUND, FILE_EXISTS, and the other errors of
 * `sessionFiles.ts`
 */
export async function moveFile(
  deps: ChangeFileDeps,
  principal: Principal,
  { userUuid, from, to, overwrite, makeParents }: MoveRequest,
): Promise<FileView> {
  validateUserUuid(userUuid);
  const path = validateChangeable(from, 'from');
  const goal = validateNewPath(to, 'to');
  return await changeFile<FileView>(
    deps,
    () => requireSession(deps, principal, userUuid),
    { operation: 'move', path, to: goal },
    async (files) => {
      const how = { overwrite: overwrite ?? false, makeParents: makeParents ?? false };
      const entry = await files.move(path.bytes, goal.bytes, how);
      return {
        result: { userUuid, entry },
        outcome: { type: 'RecordMoved', size: entry.size },
      };
    },
  );
}

export type WriteContentDeps = ChangeFileDeps &
  SessionToWriteDeps &
  Pick<ServiceDeps, 'fileTransfers'>;

interface WriteRequest
  extends Pick<WriteFileOptions, 'ifMatch' | 'ifNoneMatch' | 'append' | 'length' | 'giveBack'> {
  readonly userUuid: string;
  readonly path: GivenPath;
}

/** A file that was written. */
interface WrittenFile {
  readonly file: FileView;
  /** Whether nothing was there before. */
  readonly created: boolean;
  /** The hash of the bytes that were sent, in hexadecimal, as this gateway computed it. */
  readonly sha256: string;
}

/**
 * Writes a file, and makes the folders above it. Opens a session if the user has none. Nobody sees half of the file
 * under its name: if `source` fails, or the disk is full, the former file stays as it was.
 * @param source is read as fast as the worker accepts the bytes, and not at all if the worker refuses the call
 * beforehand
 * @throws BAD_USER_INPUT, FILE_TOO_LARGE, FILES_BUSY, the errors of {@link sessionToWrite} and of `sessionFiles.ts`,
 * and UploadAbortedError if `source` fails
 */
export async function writeContent(
  deps: WriteContentDeps,
  principal: Principal,
  { userUuid, path: given, ...options }: WriteRequest,
  source: Readable,
): Promise<WrittenFile> {
  validateUserUuid(userUuid);
  const path = validateNewPath(given);
  requireSize(deps, options.length);
  const end = deps.fileTransfers.begin();
  try {
    return await changeFile<WrittenFile>(
      deps,
      (isAgain) => sessionToWrite(deps, { ...principal, userUuid }, isAgain),
      { operation: options.append ? 'append' : 'write', path },
      async (files) => {
        const { body, result } = measured(source, deps.config.maxFileBytes);
        const how = { ...options, makeParents: true };
        const { entry, created } = await files.write(path.bytes, body, how);
        const sent = result();
        return {
          result: { file: { userUuid, entry }, created, sha256: sent.sha256 },
          outcome: { type: 'RecordWritten', ...sent, isNew: created },
        };
      },
    );
  } finally {
    end();
    // Nothing else closes a source that was never read.
    source.destroy();
  }
}

interface WriteFileRequest extends Content {
  readonly userUuid: string;
  readonly path: string;
  /** Adds to the end of the file, if there is one. */
  readonly append?: boolean | null | undefined;
}

/** Writes a small file whose content is in the call. @throws BAD_USER_INPUT, and like {@link writeContent} */
export async function writeFile(
  deps: WriteContentDeps,
  principal: Principal,
  { userUuid, path, text, base64, append }: WriteFileRequest,
): Promise<FileView> {
  const bytes = contentOf({ text, base64 });
  const { maxFileTextBytes: limit } = deps.config;
  if (bytes.length > limit) {
    throw tooLarge(`The content is ${bytes.length} bytes`, limit, 'MAX_FILE_TEXT_BYTES');
  }
  const request = { userUuid, path, append: append ?? false, length: bytes.length };
  // An empty chunk would end the stream of an empty file twice.
  const body = Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false });
  return (await writeContent(deps, principal, request, body)).file;
}
