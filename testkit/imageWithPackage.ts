/** Adds Debian packages to the worker image, so that what only tests and benches need is not in the image itself. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { builtImage } from './builtImage.ts';

/** Builds the image unless it exists. @returns its tag, which is a hash of its inputs */
export async function imageWithPackage(
  docker: Docker,
  workerImage: string,
  debianPackage: string,
  ...furtherPackages: readonly string[]
): Promise<string> {
  const base = (await docker.getImage(workerImage).inspect()).Id;
  const dockerfile = `FROM ${base}\nRUN ${installation([debianPackage, ...furtherPackages])}\n`;
  const hash = createHash('sha256').update(dockerfile).digest('hex').slice(0, 16);
  const tag = `cellhouse-test-${debianPackage}:${hash}`;
  if (await exists(docker, tag)) return tag;
  const context = mkdtempSync(join(tmpdir(), 'cellhouse-image-'));
  try {
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    const progress = await docker.buildImage({ context, src: ['Dockerfile'] }, { t: tag });
    await builtImage(docker, progress);
  } finally {
    rmSync(context, { recursive: true });
  }
  return tag;
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

async function exists(docker: Docker, tag: string): Promise<boolean> {
  const images = await docker.listImages({ filters: { reference: [tag] } });
  return images.length > 0;
}
