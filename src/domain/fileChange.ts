/**
 * The life of a change that a client makes to a session's files through the API.
 *
 * ```
 *  (none) --request--> PENDING --outcome--> WRITTEN | MOVED | DELETED | FAILED
 * ```
 * The request is recorded before any byte goes to the worker, and the outcome when the worker has answered. If the
 * gateway is killed in between, the change stays PENDING: it may have happened or not. Each change has a stream of its
 * own. If its events were in the session's stream, they would raise the session's version. Each commit of an `execute`
 * guards that version, so it would be refused and decided again.
 *
 * The content is never recorded. The gateway computes size and SHA-256 from the bytes that it sends, because a worker
 * is hostile and could report anything.
 */
import { type Event, missingStart, WrongStateError } from './decider.ts';
import type { FileChangeId, SessionId, WorkerId } from './ids.ts';

/**
 * What was asked for. `extract`: the members of a tar archive go into a folder. `append`: the bytes go to a file's end.
 */
export type FileOperation = 'write' | 'append' | 'extract' | 'make-directory' | 'move' | 'delete';
export type FileChangeStatus = 'PENDING' | 'WRITTEN' | 'MOVED' | 'DELETED' | 'FAILED';

export type FileChangeEvent =
  | Event<
      'FileChangeRequested',
      {
        changeId: FileChangeId;
        tenant: string;
        userUuid: string;
        sessionId: SessionId;
        workerId: WorkerId;
        operation: FileOperation;
        path: string;
        toPath: string | null;
      }
    >
  | Event<
      'FileWritten',
      {
        path: string;
        /** Bytes that were sent to the worker: the file, what was appended, or the archive. 0 for a folder. */
        size: number;
        /** Of the same bytes, in hexadecimal. Null for a folder. */
        sha256: string | null;
        /** Whether nothing was there before, as the worker reports. */
        isNew: boolean;
      }
    >
  | Event<'FileMoved', { path: string; toPath: string; size: number }>
  | Event<
      'FileDeleted',
      {
        path: string;
        /** Bytes of the deleted files, as the worker reports. */
        size: number;
        /** How many files and folders were deleted, as the worker reports. */
        files: number;
      }
    >
  | Event<
      'FileChangeFailed',
      {
        /** The error code that the caller got. */
        code: string;
        /** True if the connection to the worker broke before its answer arrived. */
        mayHaveHappened: boolean;
      }
    >;

/** The state that a change's events fold into, which is also its row. `version` is that of its stream. */
export interface FileChange {
  readonly id: FileChangeId;
  readonly version: number;
  readonly tenant: string;
  readonly userUuid: string;
  readonly sessionId: SessionId;
  readonly workerId: WorkerId;
  readonly operation: FileOperation;
  readonly path: string;
  readonly toPath: string | null;
  readonly status: FileChangeStatus;
  readonly size: number | null;
  readonly sha256: string | null;
  readonly isNew: boolean | null;
  readonly files: number | null;
  readonly errorCode: string | null;
  readonly mayHaveHappened: boolean | null;
  readonly requestedAt: Date;
  readonly finishedAt: Date | null;
}

export type FileChangeCommand = { readonly at: string } & (
  | ({ readonly type: 'RequestFileChange' } & Omit<Requested, 'at'>)
  | {
      readonly type: 'RecordWritten';
      readonly size: number;
      readonly sha256: string | null;
      readonly isNew: boolean;
    }
  | { readonly type: 'RecordMoved'; readonly size: number }
  | { readonly type: 'RecordDeleted'; readonly size: number; readonly files: number }
  | { readonly type: 'RecordFailure'; readonly code: string; readonly mayHaveHappened: boolean }
);

type Requested = Extract<FileChangeEvent, { type: 'FileChangeRequested' }>['data'];

/**
 * The events that a command on a change records. Pure. A second outcome records nothing.
 * @throws WrongStateError if the command does not fit the state
 */
export function decideFileChange(
  command: FileChangeCommand,
  change: FileChange | null,
): FileChangeEvent[] {
  if (command.type === 'RequestFileChange') {
    if (change !== null) throw new WrongStateError('file change', change.status, command.type);
    const { type: _, ...data } = command;
    return [{ type: 'FileChangeRequested', data }];
  }
  if (change === null) throw new WrongStateError('file change', 'not requested', command.type);
  if (change.finishedAt !== null) return [];
  const { path } = change;
  switch (command.type) {
    case 'RecordWritten': {
      const { at, size, sha256, isNew } = command;
      return [{ type: 'FileWritten', data: { at, path, size, sha256, isNew } }];
    }
    case 'RecordMoved': {
      const { at, size } = command;
      return [{ type: 'FileMoved', data: { at, path, toPath: change.toPath ?? path, size } }];
    }
    case 'RecordDeleted': {
      const { at, size, files } = command;
      return [{ type: 'FileDeleted', data: { at, path, size, files } }];
    }
    case 'RecordFailure': {
      const { at, code, mayHaveHappened } = command;
      return [{ type: 'FileChangeFailed', data: { at, code, mayHaveHappened } }];
    }
    default:
      return command satisfies never;
  }
}

/**
 * The change after `event`. Pure. It accepts every recorded event.
 * @throws Error if the stream's first event is missing
 */
export function evolveFileChange(state: FileChange | null, event: FileChangeEvent): FileChange {
  if (event.type === 'FileChangeRequested') return requested(event.data, state?.version ?? 0);
  if (state === null) throw missingStart(event.type);
  const next = { ...state, version: state.version + 1, finishedAt: new Date(event.data.at) };
  switch (event.type) {
    case 'FileWritten': {
      const { size, sha256, isNew } = event.data;
      return { ...next, status: 'WRITTEN', size, sha256, isNew };
    }
    case 'FileMoved':
      return { ...next, status: 'MOVED', size: event.data.size };
    case 'FileDeleted':
      return { ...next, status: 'DELETED', size: event.data.size, files: event.data.files };
    case 'FileChangeFailed': {
      const { code: errorCode, mayHaveHappened } = event.data;
      return { ...next, status: 'FAILED', errorCode, mayHaveHappened };
    }
    default:
      return event satisfies never;
  }
}

function requested(data: Requested, version: number): FileChange {
  return {
    id: data.changeId,
    version: version + 1,
    tenant: data.tenant,
    userUuid: data.userUuid,
    sessionId: data.sessionId,
    workerId: data.workerId,
    operation: data.operation,
    path: data.path,
    toPath: data.toPath,
    status: 'PENDING',
    size: null,
    sha256: null,
    isNew: null,
    files: null,
    errorCode: null,
    mayHaveHappened: null,
    requestedAt: new Date(data.at),
    finishedAt: null,
  };
}
