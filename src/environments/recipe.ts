/**
 * The steps that build an environment on the worker image, the hash of everything that goes into them, and the copy of
 * the index folder. pip packages are installed in a separate build stage, so that no layer of the image contains the
 * index folder.
 */
import { createHash, hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { EnvironmentSpec } from '../domain/environment.ts';

/**
 * The hexadecimal hash of everything that goes into a build: the spec, the worker image, and the contents of the index
 * folder. If the index is a URL, the packages behind it are not included.
 * @throws Error if the folder cannot be read
 */
export async function contentHash(spec: EnvironmentSpec, baseImageId: string): Promise<string> {
  const { index } = spec;
  return hashOf(spec, baseImageId, index?.startsWith('/') ? await digestOfFolder(index) : null);
}

/** @param folder the digest of the index folder. Null: the spec has no index folder, or it cannot be read */
export function hashOf(spec: EnvironmentSpec, baseImageId: string, folder: string | null): string {
  const { apt, pip, index, setup, preload } = spec;
  return hash('sha256', JSON.stringify([baseImageId, apt, pip, index, setup, preload, folder]));
}

// The index folder of an environment: wheels and source archives on the gateway's machine.

/** These limits stop the gateway from copying a folder that is not an index, such as `/var/lib`. */
const MAX_FILES = 10_000;
const GIB = 1024 ** 3;
const MAX_GIB = 16;
/** The file names that pip considers. Other files in the folder, such as a server's log, are ignored. */
const ARCHIVE = /\.(whl|zip|tar|tar\.(gz|bz2|xz|lz|lzma)|tgz|tbz|txz|tlz)$/i;

interface FolderOptions {
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

/** The temporary folder for files that the build copies into the image. The last step removes it. */
const COPIED = '/tmp/cellhouse';
/** The list of the worker image's own packages. It exists only during the build. */
const BASE_PACKAGES = '/usr/share/cellhouse/base-packages';
/** The list of all other installed packages, as JSON, in every worker of the environment. */
export const INSTALLED = '/usr/share/cellhouse/installed.json';
const PRELOAD = '/usr/share/cellhouse/preload.txt';

export interface Recipe {
  /** The Dockerfile. */
  readonly text: string;
  /** The contents of the other files in the build's folder, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** For each step, a sentence without a full stop that describes its failure. The first entry is that of step 1. */
  readonly failures: readonly string[];
}

interface RecipeParts {
  readonly spec: EnvironmentSpec;
  readonly baseImageId: string;
  /** The step that labels every layer with its pool and environment. */
  readonly labels: string;
}

/** The name of the copied index folder in the build's folder. */
export const INDEX_FOLDER = 'index';

/** The recipe of an environment. Pure. The index folder is not in it ({@link copyFolder}). */
export function recipeOf({ spec, baseImageId, labels }: RecipeParts): Recipe {
  const steps: [string, string][] = [
    [`FROM ${baseImageId} AS debian`, 'The worker image does not exist'],
    [labels, 'The engine could not label the image'],
    [runOf(baseSteps(spec)), 'apt could not install the Debian packages'],
  ];
  const files: Record<string, string> = {};
  if (spec.pip.length > 0) {
    files['requirements.txt'] = linesOf(spec.pip);
    steps.push(...pipSteps(spec.index));
  }
  if (spec.setup !== null) {
    files.setup = spec.setup;
    steps.push(
      [`COPY setup ${COPIED}/setup`, COPY_FAILED],
      [runOf(`chmod 0700 ${COPIED}/setup && ${COPIED}/setup`), 'The set-up script failed'],
    );
  }
  if (spec.preload.length > 0) {
    files['preload.txt'] = linesOf(spec.preload);
    steps.push(
      [`COPY preload.txt ${PRELOAD}`, COPY_FAILED],
      [
        runOf(`python3 -m cellhouse_kernel.check_preload ${spec.preload.join(' ')}`),
        'A module cannot be preloaded',
      ],
    );
  }
  steps.push([runOf(lastSteps()), 'The installed packages cannot be listed']);
  return {
    text: linesOf(steps.map(([step]) => step)),
    files,
    failures: steps.map(([, failure]) => failure),
  };
}

/**
 * A step that runs a command. Its errors go into the stream of its output: the last line of a failed step says why, and
 * the engine does not keep the order of two streams.
 */
function runOf(command: string): string {
  return `RUN exec 2>&1 && ${command}`;
}

const COPY_FAILED = 'The engine could not copy a file';

function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

function baseSteps({ apt }: EnvironmentSpec): string {
  const listed = `dpkg-query -W -f '\${binary:Package} \${Version}\\n' > ${BASE_PACKAGES}`;
  if (apt.length === 0) return listed;
  return [
    listed,
    // apt fails without its folder for logs, which the worker image does not have.
    'mkdir -p /var/log/apt',
    'apt-get update',
    `DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${apt.join(' ')}`,
    'apt-get clean',
    'rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /var/lib/dpkg/*-old',
  ].join(' && ');
}

function pipSteps(index: string | null): [string, string][] {
  const isFolder = index?.startsWith('/') ?? false;
  const packages = `${COPIED}/${INDEX_FOLDER}`;
  const steps: [string, string][] = [
    ['FROM debian AS pip', COPY_FAILED],
    [`COPY requirements.txt ${COPIED}/requirements.txt`, COPY_FAILED],
  ];
  if (isFolder) steps.push([`COPY ${INDEX_FOLDER} ${packages}`, COPY_FAILED]);
  const from = isFolder ? `--no-index --find-links ${packages}` : urlOptions(index);
  // pip must ignore configuration files and variables of the image, because they could name another index.
  const pip = 'PIP_CONFIG_FILE=/dev/null python3 -m pip --isolated install';
  const quiet =
    '--no-input --no-cache-dir --disable-pip-version-check --root-user-action=ignore --progress-bar off';
  return [
    ...steps,
    [
      runOf(`${pip} ${quiet} ${from} --requirement ${COPIED}/requirements.txt`),
      'pip could not install the packages',
    ],
    ['FROM debian', COPY_FAILED],
    ['COPY --from=pip /usr/local /usr/local', COPY_FAILED],
  ];
}

/** An operator who configures an index without TLS trusts it. Without `--trusted-host`, pip would ignore the index. */
function urlOptions(index: string | null): string {
  if (index === null) return '';
  const { protocol, host } = new URL(index);
  return `--index-url '${index}'${protocol === 'http:' ? ` --trusted-host '${host}'` : ''}`;
}

/**
 * Lists the installed packages, and removes what only the build needs. At the end, removes all setuid and setgid bits,
 * as in the worker image, so that no program of a worker can gain privileges.
 */
function lastSteps(): string {
  return [
    `python3 -m cellhouse_kernel.installed ${BASE_PACKAGES} > ${INSTALLED}`,
    `rm -rf ${COPIED} ${BASE_PACKAGES}`,
    'find / -xdev -type f -perm /6000 -exec chmod a-s {} +',
  ].join(' && ');
}
