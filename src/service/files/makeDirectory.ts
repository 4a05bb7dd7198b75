import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { type ChangeFileDeps, changeFile } from './changeFile.ts';
import { type GivenPath, validateNewPath } from './filePaths.ts';
import type { FileView } from './fileView.ts';
import { type SessionToWriteDeps, sessionToWrite } from './sessionToWrite.ts';

export interface MadeDirectory extends FileView {
  /** Whether it was not there before. */
  readonly created: boolean;
}

/**
 * Makes a folder, and those above it. A folder that is there already is fine. Opens a session if the user has none.
 * @throws BAD_USER_INPUT, FILE_EXISTS if something else has the name, POOL_EXHAUSTED, and the errors of `fileErrors.ts`
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
