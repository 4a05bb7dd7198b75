import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { isMissing } from './fileErrors.ts';
import { type GivenPath, validatePath } from './filePaths.ts';
import type { FileView } from './fileView.ts';
import { askWorker, type SessionFilesDeps, useOpenSession } from './sessionFiles.ts';

/**
 * The file, folder or link at a path. Null if nothing is there, or if the user has no open session.
 * @param options `follow`: what a link leads to, instead of the link itself
 * @throws BAD_USER_INPUT, FILE_ACCESS_DENIED, and the other errors of `fileErrors.ts`
 */
export async function file(
  deps: SessionFilesDeps,
  principal: Principal,
  userUuid: string,
  given: GivenPath,
  options: { readonly follow?: boolean } = {},
): Promise<FileView | null> {
  validateUserUuid(userUuid);
  const path = validatePath(given);
  const session = await useOpenSession(deps, principal, userUuid);
  if (!session) return null;
  try {
    const entry = await askWorker(deps, session, path, (files) => files.stat(path.bytes, options));
    return { userUuid, entry };
  } catch (error: unknown) {
    if (isMissing(error)) return null;
    throw error;
  }
}
