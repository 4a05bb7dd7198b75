/** The index folder of an environment: wheels and source archives on the gateway's machine. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** These limits stop the gateway from copying a folder that is not an index, such as `/var/lib`. */
const MAX_FILES = 10_000;
const GIB = 1024 ** 3;
const MAX_GIB = 16;
/** The file names that pip considers. Other files in the folder, such as a server's log, are ignored. */
const ARCHIVE = /\.(whl|zip|tar|tar\.(gz|bz2|xz|lz|lzma)|tgz|tbz|txz|tlz)$/i;

export interface FolderOptions {
  /** Aborting it ends the reading. */
  readonly signal?: AbortSignal;
  /** Limit of the archives' total size. Left out: 16 GiB. */
  readonly maxBytes?: number;
}

/**
 * The names of the archives in the folder, and of links to archives. Subfolders are ignored, as by pip.
 * @throws Error if there are too many archives, or if they are too large
 */
async function archivesOf(
  folder: string,
  { signal, maxBytes = MAX_GIB * GIB }: FolderOptions,
): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => ARCHIVE.test(name)).sort();
  if (names.length > MAX_FILES)
    throw new Error(`it has ${names.length} archives, at most ${MAX_FILES} are allowed`);
  const archives: string[] = [];
  let bytes = 0;
  for (const name of names) {
    signal?.throwIfAborted();
    const found = await stat(join(folder, name));
    if (!found.isFile()) continue;
    archives.push(name);
    bytes += found.size;
    if (bytes > maxBytes)
      throw new Error(`its archives have more than ${Math.ceil(maxBytes / GIB)} GiB`);
  }
  return archives;
}

/**
 * The hexadecimal hash of the names and contents of the folder's archives.
 * @throws Error if the folder cannot be read or is too large; the reason of the signal
 */
export async function digestOfFolder(folder: string, options: FolderOptions = {}): Promise<string> {
  const digest = createHash('sha256');
  for (const name of await archivesOf(folder, options)) {
    const content = createHash('sha256');
    await pipeline(createReadStream(join(folder, name)), content, { signal: options.signal });
    digest.update(`${JSON.stringify(name)} ${content.digest('hex')}\n`);
  }
  return digest.digest('hex');
}

/** Copies the folder's archives into a new folder, so that they cannot change. @throws as {@link digestOfFolder} */
export async function copyFolder(
  folder: string,
  to: string,
  options: FolderOptions = {},
): Promise<void> {
  await mkdir(to);
  for (const name of await archivesOf(folder, options)) {
    const source = createReadStream(join(folder, name));
    await pipeline(source, createWriteStream(join(to, name)), { signal: options.signal });
  }
}
