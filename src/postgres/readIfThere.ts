import { readFileSync } from 'node:fs';
import { hasCode } from '../domain/errors.ts';

/** The text of a file; null if there is none. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (e: unknown) {
    if (hasCode(e, 'ENOENT')) return null;
    throw e;
  }
}
