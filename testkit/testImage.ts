/**
 * Builds images that only tests and benches use. Their names mark them as such, and scripts/setup/pruneImages.mjs
 * removes those that were not used for a while.
 */
import { createHash } from 'node:crypto';
import type Docker from 'dockerode';
import { builtImage } from './builtImage.ts';

export interface TestImage {
  /** The part of the name after `cellhouse-test-`. */
  readonly name: string;
  /** Everything that the image is built from, or a hash of that. */
  readonly madeOf: string;
  readonly context: Docker.ImageBuildContext;
  readonly options?: Docker.ImageBuildOptions;
}

/**
 * Builds the image unless it exists. Its Dockerfile must begin with `LABEL cellhouse.image=test`, so that leftovers of
 * failed builds are also pruned.
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
