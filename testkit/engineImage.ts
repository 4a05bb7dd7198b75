/** Gives an image of the machine's engine to another engine. The machine's engine is only read. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { builtImage } from './testImage.ts';

/**
 * Creates the folder `diff` of each layer, which contains the layer's files. Hard links take seconds. Copying a
 * gigabyte takes minutes while others write to the disk. The engine never writes to these files: overlayfs copies a
 * file before it changes it, and removing a layer only removes names. The operating system refuses hard links between
 * two mounts, even of one file system. Live-restore leaves such a mount: an engine's folder that is mounted on itself.
 * So both folders are accessed through one mount that only this process sees. If they are on two file systems, the
 * files are copied.
 */
const GIVE_FILES = `
set -e
from=$1 to=$2 view=$3
shift 3
top=$(stat --format=%m "$to")
mount --bind "$top" "$view"
if [ "$view/\${from#"$top"}" -ef "$from" ]; then
  from=$view/\${from#"$top"} to=$view/\${to#"$top"} how=--link
fi
for layer; do cp --archive $how "$from/$layer/diff" "$to/$layer/diff"; done
`;

/**
 * Puts the image into the folder of an engine that does not run, as the engine itself would store it.
 * @returns false if the machine's engine is on another machine, remaps users, or does not use `overlay2`
 * @throws Error if the image is removed meanwhile
 */
export async function putImageFiles(image: string, dataRoot: string): Promise<boolean> {
  const machine = new Docker();
  const { Driver, DockerRootDir, ID, SecurityOptions } = await machine.info();
  const isOwnerKept = !String(SecurityOptions).includes('name=userns');
  if (Driver !== 'overlay2' || !isOwnerKept || engineIdIn(DockerRootDir) !== ID) return false;
  const { Id, RootFS, RepoTags } = await machine.getImage(image).inspect();
  const store = 'image/overlay2';
  const from = (path: string) => join(DockerRootDir, path);
  const to = (path: string) => join(dataRoot, path);
  const copy = (path: string) => cpSync(from(path), to(path), { recursive: true });

  copy(`${store}/imagedb/content/sha256/${hexOf(Id)}`);
  const layers = chainIds(RootFS.Layers ?? []).map((chainId) => {
    copy(`${store}/layerdb/sha256/${hexOf(chainId)}`);
    return readFileSync(to(`${store}/layerdb/sha256/${hexOf(chainId)}/cache-id`), 'utf8');
  });
  mkdirSync(to('overlay2/l'), { recursive: true });
  for (const layer of layers) {
    mkdirSync(to(`overlay2/${layer}/work`), { recursive: true });
    for (const name of ['link', 'lower', 'committed'])
      if (existsSync(from(`overlay2/${layer}/${name}`))) copy(`overlay2/${layer}/${name}`);
    const link = readFileSync(to(`overlay2/${layer}/link`), 'utf8');
    symlinkSync(`../${layer}/diff`, to(`overlay2/l/${link}`));
  }
  await giveFiles(from('overlay2'), to('overlay2'), layers);
  const names = RepoTags.filter((name) => [image, `${image}:latest`].includes(name));
  const named = names.map((name) => [name.slice(0, name.lastIndexOf(':')), { [name]: Id }]);
  const repositories = { Repositories: Object.fromEntries(named) };
  writeFileSync(to(`${store}/repositories.json`), JSON.stringify(repositories));
  return true;
}

/** Copies the image through the two engines' interfaces, which works for all engines and is slow. */
export async function sendImage(image: string, to: Docker): Promise<void> {
  const saved = await new Docker().getImage(image).get();
  await builtImage(to, await to.loadImage(saved));
}

/** Null if this is not the folder of an engine of this machine. */
function engineIdIn(dataRoot: string): string | null {
  const path = join(dataRoot, 'engine-id');
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : null;
}

/** The names under which an engine stores layers: each is a hash of the layer and of all below it. */
function chainIds(layers: readonly string[]): string[] {
  const ids: string[] = [];
  for (const layer of layers) {
    const below = ids.at(-1);
    const words = `${below} ${layer}`;
    const both = () => `sha256:${createHash('sha256').update(words).digest('hex')}`;
    ids.push(below === undefined ? layer : both());
  }
  return ids;
}

function hexOf(digest: string): string {
  return digest.replace('sha256:', '');
}

async function giveFiles(from: string, to: string, layers: readonly string[]): Promise<void> {
  const view = join(to, 'view');
  mkdirSync(view);
  const words = ['sh', '-c', GIVE_FILES, 'sh', from, to, view, ...layers];
  await promisify(execFile)('unshare', ['--mount', '--propagation=private', ...words]);
  rmdirSync(view);
}
