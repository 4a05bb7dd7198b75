import { posix } from 'node:path';
import { DomainError } from '../../../../domain/errors.ts';
import { WORKER_HOME } from '../../../../domain/worker.ts';

/**
 * The path from the root that a caller means: relative ones begin in the home, and so does `~`. Nothing is the home.
 * @throws BAD_USER_INPUT for the home of another user
 */
export function sandboxPath(given: string): string {
  if (/^~[^/]/.test(given)) {
    throw new DomainError('BAD_USER_INPUT', 'cannot expand user-specific home dir', {
      field: 'path',
    });
  }
  const path = given.startsWith('~') ? `.${given.slice(1)}` : given;
  const whole = path.startsWith('/') ? posix.normalize(path) : posix.join(WORKER_HOME, path);
  return whole.length > 1 ? whole.replace(/\/$/, '') : whole;
}

/** The last name of a path from the root. */
export function nameIn(path: string): string {
  return posix.basename(path) || path;
}

/** Whether a path from the root is in the home. */
export function isBelowHome(path: string): boolean {
  return path.startsWith(`${WORKER_HOME}/`);
}
