import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { type ChangeFileDeps, changeFile } from './changeFile.ts';
import { isMissing } from './fileErrors.ts';
import { type GivenPath, validateChangeable } from './filePaths.ts';
import { requireSession } from './sessionFiles.ts';

/**
 * Deletes a file, a link, or a folder with all that is in it. Resolves with false if nothing was there, or if the user
 * has no open session.
 * @param options `ifMatch`: only if it is in one of these versions
 * @throws BAD_USER_INPUT, FILE_ACCESS_DENIED, PRECONDITION_FAILED, and the other errors of `fileErrors.ts`
 */
export async function deleteFile(
  deps: ChangeFileDeps,
  principal: Principal,
  userUuid: string,
  given: GivenPath,
  options: { readonly ifMatch?: string } = {},
): Promise<boolean> {
  validateUserUuid(userUuid);
  const path = validateChangeable(given);
  try {
    return await changeFile<boolean>(
      deps,
      () => requireSession(deps, principal, userUuid),
      { operation: 'delete', path },
      async (files) => {
        const deleted = await files.remove(path.bytes, { recursive: true, ...options });
        return { result: true, outcome: { type: 'RecordDeleted', ...deleted } };
      },
    );
  } catch (error: unknown) {
    if (isMissing(error)) return false;
    throw error;
  }
}
