/**
 * Makes an image from the worker image with further Debian packages. Only tests and benches need these packages, so
 * they are not in the worker image itself.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { ensureTestImage } from './testImage.ts';

/** Builds the image unless it exists. @returns its name */
export async function imageWithPackage(
  docker: Docker,
  workerImage: string,
  debianPackage: string,
  ...furtherPackages: readonly string[]
): Promise<string> {
  const base = (await docker.getImage(workerImage).inspect()).Id;
  const dockerfile = `FROM ${base}\nLABEL cellhouse.image=test\nRUN ${installation([debianPackage, ...furtherPackages])}\n`;
  const context = mkdtempSync(join(tmpdir(), 'cellhouse-image-'));
  try {
    writeFileSync(join(context, 'Dockerfile'), dockerfile);
    return await ensureTestImage(docker, {
      name: debianPackage,
      madeOf: dockerfile,
      context: { context, src: ['Dockerfile'] },
    });
  } finally {
    rmSync(context, { recursive: true });
  }
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
