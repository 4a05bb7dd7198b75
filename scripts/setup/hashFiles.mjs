import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * One hash over the names and contents of files, and whether each is executable. Folders are walked recursively.
 * @param {string} root the folder that names are relative to
 * @param {string[]} paths below `root`
 * @param {{ skip?: (path: string) => boolean, salt?: string }} [options] `skip` sees paths relative to `root`
 * @returns {string} hexadecimal
 */
export function hashFiles(root, paths, options = {}) {
  const hash = createHash('sha256').update(options.salt ?? '');
  for (const path of paths) {
    for (const file of filesBelow(join(root, path))) {
      const name = relative(root, file);
      if (options.skip?.(name)) continue;
      const isExecutable = (statSync(file).mode & 0o100) !== 0;
      const content = createHash('sha256').update(readFileSync(file)).digest('hex');
      hash.update(JSON.stringify([name, isExecutable, content]));
    }
  }
  return hash.digest('hex');
}

/** Every file below `path`, or `path` itself. Sorted, because the order in a folder is arbitrary. */
export function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => filesBelow(join(path, entry.name)));
}
