import { ANY_VERSION, ETAG, type FilePrecondition, NO_VERSION } from '../../domain/workerFiles.ts';
import type { Principal } from '../principal.ts';
import { refuse, validateUserUuid } from '../validate.ts';
import { type ChangeFileDeps, changeFile } from './changeFile.ts';
import { isMissing } from './fileErrors.ts';
import { type GivenPath, validateChangeable } from './filePaths.ts';
import { requireSession } from './sessionFiles.ts';

/**
 * Deletes a file, a link, or a folder with all that is in it. Resolves with false if nothing was there, or if the user
 * has no open session.
 * @param versions the versions that may be deleted. The worker checks them in the same step in which it deletes. A link
 * has two versions: its own, and that of its target.
 * @throws BAD_USER_INPUT, FILE_ACCESS_DENIED, PRECONDITION_FAILED, and the other errors of `fileErrors.ts`
 */
export async function deleteFile(
  deps: ChangeFileDeps,
  principal: Principal,
  userUuid: string,
  given: GivenPath,
  versions: FilePrecondition = {},
): Promise<boolean> {
  validateUserUuid(userUuid);
  const path = validateChangeable(given);
  validateVersions('ifMatch', versions.ifMatch);
  validateVersions('ifNoneMatch', versions.ifNoneMatch);
  try {
    return await changeFile<boolean>(
      deps,
      () => requireSession(deps, principal, userUuid),
      { operation: 'delete', path },
      async (files) => {
        const deleted = await files.remove(path.bytes, { recursive: true, ...versions });
        return { result: true, outcome: { type: 'RecordDeleted', ...deleted } };
      },
    );
  } catch (error: unknown) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** @throws BAD_USER_INPUT */
function validateVersions(field: string, tags: string | undefined): void {
  const isTag = (tag: string) => ETAG.test(tag) || tag === ANY_VERSION || tag === NO_VERSION;
  if (tags === undefined || tags.split(',').every((tag) => isTag(tag.trim()))) return;
  refuse(field, 'must be the `etag` of a file, or several with commas between them, or `*`', {});
}
