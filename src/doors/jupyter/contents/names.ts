/** Names for new files, as a Jupyter server chooses them, and paths as its clients write them. */
import type { ContentsType } from './model.ts';

const UNTITLED = { directory: 'Untitled Folder', notebook: 'Untitled', file: 'untitled' } as const;

/** The first free name for a new file or folder: `Untitled.ipynb`, then `Untitled1.ipynb`, and so on. */
export function untitled(
  type: ContentsType,
  extension: string,
  taken: ReadonlySet<string>,
): string {
  const end = type === 'notebook' ? '.ipynb' : type === 'directory' ? '' : extension;
  const between = type === 'directory' ? ' ' : '';
  return firstFree(taken, (n) => `${UNTITLED[type]}${n === 0 ? '' : `${between}${n}`}${end}`);
}

/** The first free name for a copy: `a-Copy1.txt`, then `a-Copy2.txt`. */
export function copyOf(name: string, taken: ReadonlySet<string>): string {
  const dot = name.indexOf('.', 1);
  const end = dot === -1 ? '' : name.slice(dot);
  const stem = name.slice(0, name.length - end.length).replace(/-Copy\d*$/, '');
  return firstFree(taken, (n) => `${stem}-Copy${n + 1}${end}`);
}

function firstFree(taken: ReadonlySet<string>, nth: (n: number) => string): string {
  let n = 0;
  while (taken.has(nth(n))) n += 1;
  return nth(n);
}

/** The path from the home. A client may write slashes before and after it. */
export function homePath(path: string): string {
  // Not a regular expression: a search for trailing slashes would begin again at each slash, and a path may have
  // millions.
  let start = 0;
  while (path[start] === '/') start += 1;
  let end = path.length;
  while (end > start && path[end - 1] === '/') end -= 1;
  return path.slice(start, end) || '.';
}

/** The path of a name in a folder. */
export function inFolder(folder: string, name: string): string {
  return folder === '.' ? name : `${folder}/${name}`;
}

/** The last part of a path. */
export function nameIn(path: string): string {
  return path.split('/').at(-1) ?? path;
}
