/** Images that only tests and benches use. They are known by their names, and go when nothing has used them for a while. */
import { createHash } from 'node:crypto';
import type Docker from 'dockerode';
import { builtImage } from './builtImage.ts';

export interface TestImage {
  /** What it is called, after `cellhouse-test-`. */
  readonly name: string;
  /** All that it is made of, or a hash of it. */
  readonly madeOf: string;
  readonly context: Docker.ImageBuildContext;
  readonly options?: Docker.ImageBuildOptions;
}

/**
 * Builds the image unless it exists. Its Dockerfile begins with `LABEL cellhouse.image=test`, so that what a failed build
 * leaves goes, too (scripts/setup/pruneImages.mjs has the rule). @returns its name; the tag is the hash of what it is made of
 */
export async function ensureTestImage(
  docker: Docker,
  { name, madeOf, context, options }: TestImage,
): Promise<string> {
  const repo = `cellhouse-test-${name}`;
  const tag = createHash('sha256').update(madeOf).digest('hex').slice(0, 16);
  const image = `${repo}:${tag}`;
  const found = await docker.listImages({ filters: { reference: [image] } });
  // Given its name anew, it counts as used.
  if (found.length > 0) await docker.getImage(image).tag({ repo, tag });
  else await builtImage(docker, await docker.buildImage(context, { ...options, t: image }));
  return image;
}
