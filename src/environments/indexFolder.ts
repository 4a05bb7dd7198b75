/** The folder of an index: wheels and source archives on the gateway's machine. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** pip looks at the files of the folder, and at none of the folders in it. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
}

/** A hash over the names and contents of its files, in hexadecimal. @throws Error if it cannot be read */
export async function digestOfFolder(folder: string): Promise<string> {
  const digest = createHash('sha256');
  for (const name of await filesOf(folder)) {
    const content = createHash('sha256');
    await pipeline(createReadStream(join(folder, name)), content);
    digest.update(`${JSON.stringify(name)} ${content.digest('hex')}\n`);
  }
  return digest.digest('hex');
}

/** Copies its files into a new folder, so that they cannot change any more. @throws Error */
export async function copyFolder(folder: string, to: string): Promise<void> {
  await mkdir(to);
  for (const name of await filesOf(folder)) await copyFile(join(folder, name), join(to, name));
}
