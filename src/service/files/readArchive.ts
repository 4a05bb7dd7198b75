import type { Readable } from 'node:stream';
import type { ArchiveFormat } from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { type GivenPath, validatePath } from './filePaths.ts';
import type { ReadContentDeps } from './readContent.ts';
import { askWorker, requireSession } from './sessionFiles.ts';
import { whileMoving } from './whileMoving.ts';

export interface ReadArchiveRequest {
  readonly userUuid: string;
  readonly path: GivenPath;
  readonly format: ArchiveFormat;
}

/**
 * A folder as an archive, which is made while it is read. The caller reads the stream to its end or destroys it. It ends
 * cleanly only if the archive is complete.
 * @param signal ends the transfer
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, NOT_A_DIRECTORY, FILES_BUSY, and the other errors of
 * `fileErrors.ts`
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
