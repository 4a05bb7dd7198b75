import type { Readable } from 'node:stream';
import type { UploadOptions } from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { changeFile } from './changeFile.ts';
import { type GivenPath, validatePath } from './filePaths.ts';
import { measured } from './measured.ts';
import { requireSize } from './requireSize.ts';
import { sessionToWrite } from './sessionToWrite.ts';
import type { WriteContentDeps } from './writeContent.ts';

export interface WriteArchiveRequest extends UploadOptions {
  readonly userUuid: string;
  /** The folder. It is made if it is not there. */
  readonly path: GivenPath;
}

/** An archive that was unpacked. */
export interface ExtractedArchive {
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
