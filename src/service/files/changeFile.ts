/** Records a change of a file before it is made, makes it, and records its outcome (docs/events.md). */
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
import { FileRefusedError, type WorkerFiles } from '../../domain/workerFiles.ts';
import { decideAgain } from '../../events/store/decideAndCommit.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { mayHaveChangedSome, UploadAbortedError, wasNeverConnected } from './fileErrors.ts';
import { askWorker, type SessionFilesDeps } from './sessionFiles.ts';

export type ChangeFileDeps = SessionFilesDeps & Pick<ServiceDeps, 'newId' | 'now'>;

export interface WantedChange {
  readonly operation: FileOperation;
  readonly path: FilePath;
  readonly to?: FilePath;
}

/** A command that records how a change ended, without its time. */
export type FileOutcome = WithoutTime<
  Exclude<FileChangeCommand, { type: 'RequestFileChange' | 'RecordFailure' }>
>;
type WithoutTime<Command> = Command extends unknown ? Omit<Command, 'at'> : never;

/** The result of a change for its caller, and the outcome to record. */
export interface Changed<T> {
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
  /** The worker's own error. Undefined if the worker was not asked. */
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
    const mayHaveHappened = mayHave(change.operation, cause);
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
  // An error without a code means that the client went away. No caller gets a code then.
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
function mayHave(operation: FileOperation, cause: unknown): boolean {
  if (cause === undefined || wasNeverConnected(cause)) return false;
  if (operation === 'extract' || operation === 'delete') {
    return mayHaveChangedSome(operation, cause);
  }
  const isCertain = [FileRefusedError, UploadAbortedError, DomainError].some(
    (known) => cause instanceof known,
  );
  return !isCertain;
}
