import type { Readable } from 'node:stream';
import type { WriteFileOptions } from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { type ChangeFileDeps, changeFile } from './changeFile.ts';
import { type GivenPath, validateNewPath } from './filePaths.ts';
import type { FileView } from './fileView.ts';
import { measured } from './measured.ts';
import { requireSize } from './requireSize.ts';
import { type SessionToWriteDeps, sessionToWrite } from './sessionToWrite.ts';

export type WriteContentDeps = ChangeFileDeps &
  SessionToWriteDeps &
  Pick<ServiceDeps, 'fileTransfers'>;

export interface WriteRequest
  extends Pick<WriteFileOptions, 'ifMatch' | 'ifNoneMatch' | 'append' | 'length' | 'giveBack'> {
  readonly userUuid: string;
  readonly path: GivenPath;
}

/** A file that was written. */
export interface WrittenFile {
  readonly file: FileView;
  /** Whether nothing was there before. */
  readonly created: boolean;
  /** The hash of the bytes that were sent, in hexadecimal, as this gateway computed it. */
  readonly sha256: string;
}

/**
 * Writes a file, and makes the folders above it. Opens a session if the user has none. Nobody sees half of the file
 * under its name: if `source` fails, or the disk is full, what was there stays whole.
 * @param source is read as fast as the worker accepts the bytes, and not at all if the worker refuses the call
 * beforehand
 * @throws BAD_USER_INPUT, POOL_EXHAUSTED, WORKER_START_FAILED, FILES_BUSY, the errors of `fileErrors.ts`, and
 * UploadAbortedError if `source` fails
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
    // A source that was never read is closed nowhere else.
    source.destroy();
  }
}
