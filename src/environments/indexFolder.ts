/** The folder of an index: wheels and source archives on the gateway's machine. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Of a folder that is meant for something else, such as `/var/lib`, not everything is read and copied. */
const MAX_FILES = 10_000;
const GIB = 1024 ** 3;
const MAX_GIB = 16;
/** The names that pip looks at. Whatever else lies there, such as the log of a server, does not count. */
const ARCHIVE = /\.(whl|zip|tar|tar\.(gz|bz2|xz|lz|lzma)|tgz|tbz|txz|tlz)$/i;

export interface FolderOptions {
  /** Ends the reading. Left out: nothing does. */
  readonly signal?: AbortSignal;
  /** In bytes. */
  readonly maxBytes?: number;
}

/** Its archives, and links to archives. pip looks at none of the folders in it. @throws Error if it has too many */
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
 * A hash over the names and contents of its archives, in hexadecimal.
 * @throws Error if it cannot be read or is too large, or the reason of the signal
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

/** Copies its archives into a new folder, so that they cannot change any more. @throws as {@link digestOfFolder} */
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
