import { join } from 'node:path';
import { BASE_IMAGE, ensureBaseImage } from './baseImage.mjs';
import { buildImage } from './buildImage.mjs';
import { ask } from './engineApi.mjs';
import { hashFiles } from './hashFiles.mjs';
import { projectRoot } from './projectRoot.mjs';
import { pruneImages } from './pruneImages.mjs';
import { step } from './steps.mjs';

const FOLDER = 'worker-image';
const REPOSITORY = 'cellhouse-worker';
/** Tests and checks, which are not part of the image, and files that running programs create. */
const LEFT_OUT =
  /(^|\/)(tests|check\.Dockerfile|__pycache__|\.mypy_cache|\.pytest_cache)(\/|$)|\.pyc$/;

/**
 * Builds the worker image and its base image, unless it was already built from exactly these files.
 * @returns {Promise<string>} its name; the tag is a hash of its inputs
 */
export async function ensureWorkerImage() {
  const inputs = hashFiles(projectRoot, [FOLDER], {
    salt: BASE_IMAGE,
    skip: (path) => LEFT_OUT.test(path),
  });
  const image = `${REPOSITORY}:${inputs.slice(0, 16)}`;
  if ((await ask(`/images/${image}/json`)) !== null) return image;
  const base = await ensureBaseImage();
  await step(`Building the worker image ${image} (some minutes the first time)`, () =>
    buildImage({
      image,
      folder: join(projectRoot, FOLDER),
      exclude: ['tests', '__pycache__', '.mypy_cache', '.pytest_cache', '*.pyc'],
      args: { BASE_IMAGE: base },
    }),
  );
  await pruneImages(REPOSITORY);
  return image;
}
