/**
 * Builds images that only tests and benches use. Their names mark them as such, and scripts/setup/pruneImages.mjs
 * removes those that were not used for a while.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';

interface TestImage {
  /** The part of the name after `cellhouse-test-`. */
  readonly name: string;
  /** Everything that the image is built from, or a hash of that. */
  readonly madeOf: string;
  readonly context: Docker.ImageBuildContext;
  readonly options?: Docker.ImageBuildOptions;
}

interface ImageStep extends Pick<TestImage, 'name'> {
  /** One step of a Dockerfile. */
  readonly step: string;
  /** The texts of the files that the step copies, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Builds an image with one more step than the worker image, unless it exists. @returns its name */
export async function ensureImageOn(
  docker: Docker,
  workerImage: string,
  { name, step, files = {} }: ImageStep,
): Promise<string> {
  const base = (await docker.getImage(workerImage).inspect()).Id;
  const all = { Dockerfile: `FROM ${base}\nLABEL cellhouse.image=test\n${step}\n`, ...files };
  const context = mkdtempSync(join(tmpdir(), 'cellhouse-image-'));
  try {
    for (const [file, text] of Object.entries(all)) writeFileSync(join(context, file), text);
    return await ensureTestImage(docker, {
      name,
      madeOf: JSON.stringify(all),
      context: { context, src: Object.keys(all) },
    });
  } finally {
    rmSync(context, { recursive: true });
  }
}

/**
 * Builds the image unless it exists. In its Dockerfile, `LABEL cellhouse.image=test` must follow `FROM`, so that
 * leftovers of failed builds are also pruned.
 * @returns its name, whose tag is a hash of `madeOf`
 */
export async function ensureTestImage(
  docker: Docker,
  { name, madeOf, context, options }: TestImage,
): Promise<string> {
  const repo = `cellhouse-test-${name}`;
  const tag = createHash('sha256').update(madeOf).digest('hex').slice(0, 16);
  const image = `${repo}:${tag}`;
  const found = await docker.listImages({ filters: { reference: [image] } });
  // Giving the image its name again records that it is used.
  if (found.length > 0) await docker.getImage(image).tag({ repo, tag });
  else {
    // Without `forcerm`, the container of a step that fails stays.
    const build = await docker.buildImage(context, { ...options, forcerm: true, t: image });
    await builtImage(docker, build);
  }
  return image;
}

// Makes an image from the worker image with further Debian packages. Only tests and benches need these packages, so
// they are not in the worker image itself.

/** Builds the image unless it exists. @returns its name */
export async function imageWithPackage(
  docker: Docker,
  workerImage: string,
  debianPackage: string,
  ...furtherPackages: readonly string[]
): Promise<string> {
  return await ensureImageOn(docker, workerImage, {
    name: debianPackage,
    step: `RUN ${installation([debianPackage, ...furtherPackages])}`,
  });
}

function installation(debianPackages: readonly string[]): string {
  return [
    // apt fails without its log folder, which the worker image does not have.
    'mkdir -p /var/log/apt',
    'apt-get update',
    `DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${debianPackages.join(' ')}`,
    'rm -rf /var/lib/apt/lists/*',
  ].join(' && ');
}

/** Awaits a build that dockerode has started. @throws Error with the end of the builder's output */
export function builtImage(docker: Docker, progress: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    // If a build step fails, the stream does not fail, but its last entry has an `error`.
    const onEnd = (error: Error | null, entries: { error?: string; stream?: string }[] | null) => {
      const failure = error?.message ?? entries?.find((entry) => entry.error !== undefined)?.error;
      if (failure === undefined) return resolve();
      const log = entries?.map(({ stream }) => stream ?? '').join('') ?? '';
      reject(new Error(`The image could not be built: ${failure}\n${log.slice(-5_000)}`));
    };
    docker.modem.followProgress(progress, onEnd);
  });
}
