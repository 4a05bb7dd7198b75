/** Transfers files and folders as streams: reads contents, reads and writes archives. */
import type { Readable } from 'node:stream';
import type {
  ArchiveFormat,
  FileContent,
  ReadFileOptions,
  UploadOptions,
} from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { type GivenPath, validatePath, validateUserUuid } from '../validate.ts';
import {
  changeFile,
  measured,
  requireSize,
  sessionToWrite,
  type WriteContentDeps,
} from './changeFile.ts';
import { askWorker, requireSession, type SessionFilesDeps, whileMoving } from './sessionFiles.ts';

export type ReadContentDeps = SessionFilesDeps & Pick<ServiceDeps, 'fileTransfers'>;

interface ReadRequest extends ReadFileOptions {
  readonly userUuid: string;
  readonly path: GivenPath;
}

/**
 * A file's content, or a part of it, as a stream that is read from the worker as fast as the caller reads it. The
 * caller reads `body` to its end or destroys it. `body` fails if the file shrinks meanwhile.
 * @param signal ends the transfer
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILES_BUSY, and the errors of `sessionFiles.ts`
 */
export async function readContent(
  deps: ReadContentDeps,
  principal: Principal,
  { userUuid, path: given, ...options }: ReadRequest,
  signal?: AbortSignal,
): Promise<FileContent> {
  validateUserUuid(userUuid);
  const path = validatePath(given);
  const session = await requireSession(deps, principal, userUuid);
  return await whileMoving<FileContent & { readonly body: Readable }>(deps, session, () =>
    askWorker(deps, session, path, (files) => files.read(path.bytes, options, signal)),
  );
}

interface ReadArchiveRequest {
  readonly userUuid: string;
  readonly path: GivenPath;
  readonly format: ArchiveFormat;
}

/**
 * A folder as an archive, which is made while it is read. The caller reads the stream to its end or destroys it. The
 * stream ends without an error only if the archive is complete.
 * @param signal ends the transfer
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, NOT_A_DIRECTORY, FILES_BUSY, and the other errors of
 * `sessionFiles.ts`
 */
export async function readArchive(
  deps: ReadContentDeps,
  principal: Principal,
  { userUuid, path: given, format }: ReadArchiveRequest,
  signal?: AbortSignal,
): Promise<Readable> {
  validateUserUuid(userUuid);
  const path = validatePath(given);
  const session = await requireSession(deps, principal, userUuid);
  const { body } = await whileMoving(deps, session, () =>
    askWorker(deps, session, path, (files) => files.readArchive(path.bytes, format, signal)),
  );
  return body;
}

interface WriteArchiveRequest extends UploadOptions {
  readonly userUuid: string;
  /** The folder. It is made if it does not exist. */
  readonly path: GivenPath;
}

/** An archive that was unpacked. */
interface ExtractedArchive {
  /** The number of files in it, as the worker reports. */
  readonly files: number;
  /** The hash of the archive's bytes, in hexadecimal, as this gateway computed it. */
  readonly sha256: string;
}

/**
 * Unpacks a tar archive into a folder. Opens a session if the user has none. If it fails, the files that were already
 * unpacked stay, each complete.
 * @throws like {@link writeContent}
 */
export async function writeArchive(
  deps: WriteContentDeps,
  principal: Principal,
  { userUuid, path: given, ...options }: WriteArchiveRequest,
  source: Readable,
): Promise<ExtractedArchive> {
  validateUserUuid(userUuid);
  const path = validatePath(given);
  requireSize(deps, options.length);
  const end = deps.fileTransfers.begin();
  try {
    return await changeFile<ExtractedArchive>(
      deps,
      (isAgain) => sessionToWrite(deps, { ...principal, userUuid }, isAgain),
      { operation: 'extract', path },
      async (worker) => {
        const { body, result } = measured(source, deps.config.maxFileBytes);
        const { files } = await worker.writeArchive(path.bytes, body, options);
        const sent = result();
        return {
          result: { files, sha256: sent.sha256 },
          outcome: { type: 'RecordWritten', ...sent, isNew: false },
        };
      },
    );
  } finally {
    end();
    source.destroy();
  }
}
