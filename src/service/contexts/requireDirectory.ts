import { DomainError } from '../../domain/errors.ts';
import { quoted } from '../../domain/quoted.ts';
import type { Session } from '../../domain/session.ts';
import { validatePath } from '../files/filePaths.ts';
import { askWorker, type SessionFilesDeps } from '../files/sessionFiles.ts';

/**
 * Resolves if the directory exists.
 * @param directory absolute; null: the home, which always exists
 * @throws FILE_NOT_FOUND, NOT_A_DIRECTORY, and the other errors of `fileErrors.ts`
 */
export async function requireDirectory(
  deps: SessionFilesDeps,
  session: Session,
  directory: string | null,
): Promise<void> {
  if (directory === null) return;
  const path = validatePath(directory, 'workingDirectory');
  const ask = { follow: true };
  const { kind } = await askWorker(deps, session, path, (files) => files.stat(path.bytes, ask));
  if (kind === 'directory') return;
  throw new DomainError('NOT_A_DIRECTORY', `${quoted(path.text)} is no folder.`, {
    field: 'workingDirectory',
  });
}
