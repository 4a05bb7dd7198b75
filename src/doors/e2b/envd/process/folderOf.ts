import { WORKER_HOME } from '../../../../domain/worker.ts';

/** The folder that a path of envd names. Null: the home. */
export function folderOf(cwd: string): string | null {
  if (cwd === '' || cwd === '~') return null;
  return cwd.startsWith('~/') ? `${WORKER_HOME}/${cwd.slice(2)}` : cwd;
}
