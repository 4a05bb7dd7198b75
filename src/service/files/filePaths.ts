import {
  type FilePath,
  isBadPath,
  isWhole,
  parsePathBytes,
  parsePathText,
} from '../../domain/filePath.ts';
import { refuse } from '../validate.ts';

/** A path as a caller gives it: text, or the bytes of a URL. Relative to the home, or absolute. */
export type GivenPath = string | Buffer;

/** @throws BAD_USER_INPUT */
export function validatePath(given: GivenPath, field = 'path'): FilePath {
  const path = typeof given === 'string' ? parsePathText(given) : parsePathBytes(given);
  if (!isBadPath(path)) return path;
  const { problem, limit } = path;
  return refuse(field, problem, limit === undefined ? {} : { limit });
}

/** A path that a caller may make, delete or move: not the home or the root itself. @throws BAD_USER_INPUT */
export function validateChangeable(given: GivenPath, field = 'path'): FilePath {
  const path = validatePath(given, field);
  if (isWhole(path)) refuse(field, 'must name a file or a folder below the home or the root', {});
  return path;
}

/** A path that a caller may make: it must be UTF-8, too. @throws BAD_USER_INPUT */
export function validateNewPath(given: GivenPath, field = 'path'): FilePath {
  const path = validateChangeable(given, field);
  if (!path.isUtf8) refuse(field, 'must be UTF-8', {});
  return path;
}
