import type { Principal } from '../principal.ts';
import { validateUserUuid } from '../validate.ts';
import { type ChangeFileDeps, changeFile } from './changeFile.ts';
import { type GivenPath, validateChangeable, validateNewPath } from './filePaths.ts';
import type { FileView } from './fileView.ts';
import { requireSession } from './sessionFiles.ts';

export interface MoveRequest {
  readonly userUuid: string;
  readonly from: GivenPath;
  readonly to: GivenPath;
  /** Replaces a file at `to`. A folder there must be empty. */
  readonly overwrite?: boolean | null | undefined;
  /** Makes the folders above `to`, unless there is nothing to move. */
  readonly makeParents?: boolean;
}

/**
 * Moves a file or folder, so that nobody ever sees half of it. A file can also be moved to another disk of the worker.
 * @throws BAD_USER_INPUT, NOT_FOUND without an open session, FILE_NOT_FOUND, FILE_EXISTS, and the other errors of
 * `fileErrors.ts`
 */
export async function moveFile(
  deps: ChangeFileDeps,
  principal: Principal,
  { userUuid, from, to, overwrite, makeParents }: MoveRequest,
): Promise<FileView> {
  validateUserUuid(userUuid);
  const path = validateChangeable(from, 'from');
  const goal = validateNewPath(to, 'to');
  return await changeFile<FileView>(
    deps,
    () => requireSession(deps, principal, userUuid),
    { operation: 'move', path, to: goal },
    async (files) => {
      const how = { overwrite: overwrite ?? false, makeParents: makeParents ?? false };
      const entry = await files.move(path.bytes, goal.bytes, how);
      return {
        result: { userUuid, entry },
        outcome: { type: 'RecordMoved', size: entry.size },
      };
    },
  );
}
