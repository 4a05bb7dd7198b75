import type { Readable } from 'node:stream';
import type { FileContent, ReadFileOptions } from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import type { ServiceDeps } from '../serviceDeps.ts';
import { validateUserUuid } from '../validate.ts';
import { type GivenPath, validatePath } from './filePaths.ts';
import { askWorker, requireSession, type SessionFilesDeps } from './sessionFiles.ts';
import { whileMoving } from './whileMoving.ts';

export type ReadContentDeps = SessionFilesDeps & Pick<ServiceDeps, 'fileTransfers'>;

export interface ReadRequest extends ReadFileOptions {
  readonly userUuid: string;
  readonly path: GivenPath;
}

/**
 * A file's content, or a part of it, as a stream that is read from the worker as fast as the caller reads it. The caller
 * reads `body` to its end or destroys it. It fails if the file shrinks meanwhile.
 * @param signal ends the transfer
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILES_BUSY, and the errors of `fileErrors.ts`
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
