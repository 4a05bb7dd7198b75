import { join } from 'node:path';
import { BASE_IMAGE, ensureBaseImage } from './baseImage.mjs';
import { buildImage } from './buildImage.mjs';
import { ask } from './engineApi.mjs';
import { hashFiles } from './hashFiles.mjs';
import { projectRoot } from './projectRoot.mjs';
import { imageLabels, noteUse, pruneImages } from './pruneImages.mjs';
import { step } from './steps.mjs';

const FOLDER = 'worker-image';
const REPOSITORY = 'cellhouse-worker';
/** Tests and checks, which are not part of the image, and files that running programs create. */
const LEFT_OUT =
  /(^|\/)(tests|check\.Dockerfile|__pycache__|\.mypy_cache|\.pytest_cache)(\/|$)|\.pyc$/;

/** The worker image's name, whether it is built or not. The tag is a hash of the files that it is built from. */
export function workerImageName() {
  const inputs = hashFiles(projectRoot, [FOLDER], {
    salt: BASE_IMAGE,
    skip: (path) => LEFT_OUT.test(path),
  });
  return `${REPOSITORY}:${inputs.slice(0, 16)}`;
}

/**
 * Builds the worker image, and the base image under it, unless the image exists already.
 * @returns {Promise<string>} its name
 */
export async function ensureWorkerImage() {
  const image = workerImageName();
  if ((await ask(`/images/${image}/json`)) !== null) {
    await noteUse(image);
    return image;
  }
  const base = await ensureBaseImage();
  await step(`Building the worker image ${image} (some minutes the first time)`, () =>
    buildImage({
      image,
      labels: imageLabels('worker'),
      folder: join(projectRoot, FOLDER),
      exclude: ['tests', '__pycache__', '.mypy_cache', '.pytest_cache', '*.pyc'],
      args: { BASE_IMAGE: base },
    }),
  );
  await pruneImages();
  return image;
}
