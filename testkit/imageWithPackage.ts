/**
 * Makes an image from the worker image with further Debian packages. Only tests and benches need these packages, so
 * they are not in the worker image itself.
 */
import type Docker from 'dockerode';
import { ensureImageOn } from './testImage.ts';

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
